"""An ONNX model as a TensorFlow saved_model, for backends that read only that.

Reading the graph and computing what ONNX Runtime answers needs onnx and is done in a process of
ours (`writing`); building the graph of TensorFlow's operators needs tensorflow, and may be done
under a backend's interpreter, which has no onnx (`building`, `operators`, `layers`). Between them
goes plain data: nodes as JSON, and arrays.
"""
