"""ONNX Runtime sessions on a GPU, and what is said where there is none.

ONNX Runtime does not fail where it cannot use a provider: it logs a line and computes on the CPU.
Such a session is an error here, with what was missing.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qs.contract.onnx_profile import nodes_by_provider
from qs.contract.tools import UserError, onnx_sentence

from .answers import PROVIDERS, Answers

LIBRARIES = {
    "CUDA": "libonnxruntime_providers_cuda.so",
    "TENSORRT": "libonnxruntime_providers_tensorrt.so",
}
INSTALL = {
    "CUDA": "install CUDA's and cuDNN's libraries (pip install 'onnxruntime-gpu[cuda,cudnn]'), or "
    "name the folder that has them in LD_LIBRARY_PATH",
    "TENSORRT": "install TensorRT's libraries (pip install tensorrt-cu13 or tensorrt-cu12, as the "
    "CUDA of this onnxruntime-gpu), and name their folder in LD_LIBRARY_PATH",
}


def runtime() -> Any:
    """onnxruntime, with CUDA's libraries loaded where packages of pip have them. UserError if it is
    not there, or is the one for CPUs.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"onnxruntime-gpu cannot be imported by {sys.executable} ({error}): install it, or "
            "let qs make the backend's own environment (--env new)"
        ) from error
    missing = PROVIDERS["CUDA"] not in onnxruntime.get_available_providers()
    if missing:
        raise UserError(
            f"ONNX Runtime {onnxruntime.__version__} of {sys.executable} has no "
            f"{PROVIDERS['CUDA']} (it has {', '.join(onnxruntime.get_available_providers())}): "
            "that is in the package onnxruntime-gpu, which cannot lie beside onnxruntime; let qs "
            "make the backend's own environment (--env new), or uninstall onnxruntime first"
        )
    _preload(onnxruntime)
    return onnxruntime


@functools.cache
def _preload(onnxruntime: Any) -> None:
    """CUDA's libraries from the packages nvidia-*; what is not there is the system's."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()


def open_session(path: str | Path, answers: Answers, device_id: int, **options: Any) -> Any:
    """A session on one GPU. `options` are SessionOptions attributes. UserError if the provider, its
    libraries or the GPU are not there, or ONNX Runtime cannot read or run the model.
    """
    onnxruntime = runtime()
    name = PROVIDERS[answers.provider]
    if name not in onnxruntime.get_available_providers():
        raise UserError(
            f"ONNX Runtime {onnxruntime.__version__} has no {name}; it has "
            f"{', '.join(onnxruntime.get_available_providers())}"
        )
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    for option, value in options.items():
        setattr(settings, option, value)
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=providers_of(answers, device_id), enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        said = onnx_sentence(error)
        raise UserError(
            f"ONNX Runtime cannot open {path} on GPU {device_id} with {name}: {said}; "
            f"{_missing(onnxruntime, answers) or 'nvidia-smi -L lists the GPUs of this machine'}"
        ) from error
    if name not in session.get_providers():
        raise UserError(
            f"ONNX Runtime would compute on {', '.join(session.get_providers())}, not on GPU "
            f"{device_id} with {name}: {_missing(onnxruntime, answers) or _no_device(device_id)}"
        )
    return session


def providers_of(answers: Answers, device_id: int) -> list[tuple[str, dict[str, str]]]:
    """What a session is opened with: the provider, and for TensorRT the CUDA provider for the nodes
    that it leaves. ONNX Runtime adds the CPU itself.
    """
    cuda = {"device_id": str(device_id), "use_tf32": str(int(answers.tf32))}
    if answers.provider == "CUDA":
        return [(PROVIDERS["CUDA"], cuda)]
    tensorrt = {"device_id": str(device_id), "trt_fp16_enable": str(answers.tensorrt_fp16)}
    return [(PROVIDERS["TENSORRT"], tensorrt), (PROVIDERS["CUDA"], cuda)]


def _missing(onnxruntime: Any, answers: Answers) -> str:
    """Which library the provider lacks, and how to get it; "" if it can be loaded."""
    names = ["CUDA"] if answers.provider == "CUDA" else ["TENSORRT", "CUDA"]
    for name in names:
        library = Path(onnxruntime.__file__).parent / "capi" / LIBRARIES[name]
        if not library.is_file():
            return f"{library} is missing; {INSTALL[name]}"
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            # An undefined symbol is one that ONNX Runtime's own loader provides.
            if "undefined symbol" not in str(error):
                advice = INSTALL["TENSORRT" if "nvinfer" in str(error) else "CUDA"]
                return f"{library.name} needs what is not found ({error}); {advice}"
    return ""


def _no_device(device_id: int) -> str:
    return (
        f"its libraries are there, and no GPU {device_id} that they can use; nvidia-smi -L lists "
        "the GPUs of this machine, device_ids and CUDA_VISIBLE_DEVICES choose among them"
    )


def placement(path: str | Path, answers: Answers, feeds: dict[str, Any]) -> dict[str, int]:
    """Executed nodes by execution provider, from the profile of one real inference on the first
    GPU. UserError if none of them ran there.
    """
    with TemporaryDirectory(prefix="qs-cuda-") as folder:
        session = open_session(
            path,
            answers,
            answers.device_ids[0],
            enable_profiling=True,
            profile_file_prefix=str(Path(folder, "profile")),
        )
        session.run(None, feeds)
        nodes = nodes_by_provider(session.end_profiling())
    if not on_gpu(nodes):
        placed = ", ".join(f"{count} on {name}" for name, count in nodes.items()) or "none"
        raise UserError(
            f"no node of {path} ran on the GPU with {PROVIDERS[answers.provider]}: {placed}"
        )
    return nodes


def on_gpu(nodes: dict[str, int]) -> int:
    return sum(nodes.get(name, 0) for name in PROVIDERS.values())
