"""Load-test an ONNX model in two processes, each with a session of its own.

A session cannot be sent to another process, so the plan names a factory: it is imported and called
in each process, and what it returns is the target. Here it is this file's class, which has its own
samples: images of handwritten digits.

    python examples/onnx_two_processes.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.engine import ClosedLoop, Factory, Pool, RunPlan, Stop, run

ROOT = Path(__file__).resolve().parent.parent


class Digits:
    """A session of the digits model; called with one image, it returns the logits."""

    def __init__(self, model: str, images: str, threads: int = 1):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Two processes that each take all cores would only fight for them.
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        with np.load(images) as held_out:
            images_of_held_out = held_out["images"]
        self.samples = [
            image.reshape(1, 1, 8, 8).astype(np.float32) / 16 for image in images_of_held_out[:100]
        ]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return self._session.run(None, {"image": image})[0]


def main() -> None:
    target = Factory(
        "onnx_two_processes:Digits",
        {
            "model": str(ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"),
            "images": str(ROOT / "datasets" / "digits" / "held_out.npz"),
        },
    )
    for processes in (1, 2):
        # The closed loop's clients are shared out: one to each process.
        plan = RunPlan(
            load=ClosedLoop(clients=processes),
            stop=Stop(duration_s=1),
            pool=Pool("process"),
            warmup_iterations=50,
        )
        result = run(plan, target)
        p99_us = result.response.percentile_ns(99) / 1e3
        print(
            f"{processes} x 1 thread: {result.queries_per_s:,.0f} queries/s, p99 {p99_us:.0f} us, "
            f"{result.verdict}"
        )


if __name__ == "__main__":
    main()
