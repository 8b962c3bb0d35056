"""Arrays and ONNX files, with numpy alone: used in the process of a backend too."""
