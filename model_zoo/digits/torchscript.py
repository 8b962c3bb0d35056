"""Writes digits-cnn-torch-fp32.pt: the digits CNN beside this file as TorchScript.

Run `python -m model_zoo.digits.torchscript` in the checkout (needs torch; about three seconds). The
weights are those of digits-cnn-onnx-fp32.onnx, unchanged, so both models have the same score. The
file holds no paths of the machine that wrote it: torch's notes of where each operation stood in the
source are left out, and the same torch writes the same bytes everywhere.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "digits-cnn-onnx-fp32.onnx"
SCRIPT = HERE / "digits-cnn-torch-fp32.pt"


class DigitsCnn(nn.Module):
    """`image` float32 [batch, 1, 8, 8] in 0..1 -> logits float32 [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.dense = nn.Linear(16 * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.conv1(image))
        second = torch.relu(self.conv2(first))
        return self.dense(self.pool(second).flatten(1))


def module_of(source: Path = SOURCE) -> DigitsCnn:
    """The network with the weights of the ONNX file, which have the same names."""
    weights = onnx.load(str(source)).graph.initializer
    module = DigitsCnn()
    module.load_state_dict(
        {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in weights}
    )
    return module.eval()


def write(module: nn.Module, file: Path) -> None:
    """`module` as a TorchScript archive without torch's debug records, which hold paths."""
    saved = io.BytesIO()
    torch.jit.save(torch.jit.script(module), saved)
    with zipfile.ZipFile(saved) as whole, zipfile.ZipFile(file, "w") as kept:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(entry, whole.read(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=SCRIPT, help="the TorchScript file to write")
    args = parser.parse_args()
    write(module_of(), args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
