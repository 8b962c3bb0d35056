"""An ONNX model as TorchScript: the source of a `forward`, one statement a node, and the process
that compiles it.

Reading the graph, writing the source and computing what ONNX Runtime answers needs onnx and is done
in a process of ours (`writing`); compiling needs torch, and may be done under a backend's
interpreter, which has no onnx (`compiling`, `functions`). Between them goes plain data: a text in
the TorchScript language, which torch's compiler reads and Python never executes, and arrays.
"""
