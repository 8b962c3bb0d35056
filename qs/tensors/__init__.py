"""Arrays and ONNX files. Needs numpy alone, since it also runs in a backend's process."""
