"""What a file is that was given as a model and is no ONNX file, told by its first bytes, then by
its suffix. Nothing in it is run or unpacked.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

HEAD_BYTES = 512
_URL = re.compile(r"^(https?|ftp|s3|gs|hf|file):/+(.*)", re.IGNORECASE)
_MAGIC = (
    (0, b"\x1f\x8b", "a gzip archive; unpack it first (gunzip, tar -xzf)"),
    (0, b"BZh", "a bzip2 archive; unpack it first"),
    (0, b"\xfd7zXZ", "an xz archive; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "a model in ONNX Runtime's own format (.ort)"),
    (0, b"\x89HDF", "an HDF5 file (Keras)"),
    (0, b"GGUF", "a GGUF file (llama.cpp)"),
    (0, b"ftrt", "a TensorRT engine"),
    (0, b"ptrt", "a TensorRT engine"),
    (0, b"\x80\x02", "a pickle (an older PyTorch checkpoint)"),
    (0, b"\x80\x04", "a pickle"),
)
_SUFFIXES = {
    ".pt": "a PyTorch file",
    ".pth": "a PyTorch file",
    ".tflite": "a TensorFlow Lite model",
    ".pb": "a TensorFlow graph or a tensor of a test set",
    ".xml": "an OpenVINO model",
    ".safetensors": "a safetensors file: weights without a graph",
    ".engine": "a TensorRT engine",
    ".plan": "a TensorRT engine",
    ".trt": "a TensorRT engine",
    ".mlmodel": "a Core ML model",
    ".mlpackage": "a Core ML model",
    ".ort": "a model in ONNX Runtime's own format (.ort)",
    ".h5": "an HDF5 file (Keras)",
    ".keras": "a Keras model",
    ".gguf": "a GGUF file (llama.cpp)",
    ".zip": "a ZIP archive; unpack it first",
    ".gz": "a gzip archive; unpack it first",
}


def url(path: Path) -> str | None:
    """The address that a path was meant as, with its two slashes; None if it was meant as a
    path.
    """
    found = _URL.match(str(path))
    return None if found is None else f"{found.group(1)}://{found.group(2)}"


def no_model(path: Path) -> str | None:
    """Why this file is nobody's model, in words: what came in place of one."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the model: fetch it (git lfs pull), or download the file"
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body)", head, re.IGNORECASE):
        return "an HTML page, not the model: a download got it in its place; download it again"
    return None


def foreign(path: Path) -> str | None:
    """What a file is that is of another format than ONNX, or a folder; None if nothing says so."""
    if path.is_dir():
        return _folder(path)
    nothing = no_model(path)
    if nothing is not None:
        return nothing
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    if head[8:10] == b'{"':
        return "a safetensors file: weights without a graph"
    if re.match(rb"\s*(<\?xml.*?>\s*)?<net\b", head, re.DOTALL):
        return "an OpenVINO model"
    return _SUFFIXES.get(path.suffix.lower())


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return "a TensorFlow saved_model"
    inside = sorted(path.glob("*.onnx")) or sorted(path.glob("*/*.onnx"))
    if not inside:
        return "a folder, with no .onnx file in it"
    more = f" (or another of the {len(inside)} .onnx files in it)" if len(inside) > 1 else ""
    return f"a folder; give the file in it: {inside[0]}{more}"


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
    except (zipfile.BadZipFile, OSError, ValueError):
        return "a damaged ZIP archive"
    tails = {name.partition("/")[2] for name in names}
    if "constants.pkl" in tails:
        return "a TorchScript model"
    if "data.pkl" in tails:
        return "a PyTorch checkpoint"
    models = [name for name in names if name.endswith(".onnx")]
    inside = f" and give {models[0]} in it" if models else ""
    return f"a ZIP archive; unpack it first{inside}"
