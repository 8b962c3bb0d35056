"""Archives as torch.jit.save and torch.export.save lay them out, written without torch."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

CODE = """class Net(Module):
  __parameters__ = []
  training : bool
  def forward(self: __torch__.nets.Net,
    image: Tensor,
    mask: Optional[Tensor]=None) -> Tensor:
    return torch.relu(image)
"""


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.witness, "executed")


def archive(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(f"{path.stem}/{name}", content)
    return path


def torchscript(path: Path, code: str = CODE) -> Path:
    """Its outermost object is a `__torch__.nets.Net`; torch would not load it."""
    return archive(
        path,
        {
            "data.pkl": b"\x80\x02c__torch__.nets\nNet\nq\x00)\x81q\x01.",
            "constants.pkl": b"\x80\x02).",
            "code/__torch__/nets.py": code,
            "version": "3\n",
        },
    )


def graph(**changes: Any) -> dict[str, Any]:
    """The JSON of `relu(image)` with a batch dimension; `changes` are those of its one node."""
    node = {
        "target": "torch.ops.aten.relu.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "image"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "metadata": {"stack_trace": "forward"},
        "name": "relu",
    }
    batch = {"as_expr": {"expr_str": "Symbol('s40', positive=True, integer=True)"}}
    image = {"dtype": 7, "sizes": [batch, {"as_int": 1}, {"as_int": 8}, {"as_int": 8}]}
    return {
        "graph_module": {
            "graph": {
                "inputs": [{"as_tensor": {"name": "p_w"}}, {"as_tensor": {"name": "image"}}],
                "outputs": [{"as_tensor": {"name": "relu"}}],
                "nodes": [node | changes],
                "tensor_values": {"image": image, "p_w": {"dtype": 7, "sizes": []}},
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}},
                    {"user_input": {"arg": {"as_tensor": {"name": "image"}}}},
                ],
                "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "relu"}}}}],
            },
            "module_call_graph": [{"fqn": "", "signature": {"in_spec": '[1, {"type": null}]'}}],
        },
        "torch_version": "2.13.0",
    }


def exported(path: Path, content: Any = None, **more: bytes | str) -> Path:
    """`more`: members by name, "__" for "/"."""
    members = {
        "archive_format": "pt2",
        "models/model.json": json.dumps(graph() if content is None else content),
        "data/weights/model_weights_config.json": json.dumps({"config": {}}),
    }
    return archive(path, members | {name.replace("__", "/"): text for name, text in more.items()})


def pickled(path: Path, witness: Path) -> Path:
    path.write_bytes(pickle.dumps(Evil(witness)))
    return path


def checkpoint(path: Path, witness: Path) -> Path:
    """As torch.save writes it."""
    return archive(path, {"data.pkl": pickle.dumps(Evil(witness)), "version": "3\n"})
