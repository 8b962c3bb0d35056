"""Reads tensors saved by torch.save (`.pth`), without torch and without running code from the file.

Such a file is a pickle, and unpickling runs any function that the file names. So nothing is
unpickled: the standard library's disassembler reads the opcodes, and a small machine here
interprets them. It knows plain values and the few names that a dict of tensors needs, and refuses
any other opcode or name. Both formats are supported: the archive (torch 1.6 and later) and the one
before it.

Left out: sparse and quantized tensors, whole pickled modules (their classes are code), byte orders
other than little. Formats: torch/serialization.py; opcodes: the module pickletools.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qs.base.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C  # the first value in a file of the older format
MAX_BYTES = 8 << 30  # all tensors together
MAX_PICKLE_BYTES = 64 << 20
MAX_OPCODES = 5_000_000
TOO_LARGE = "it is too large"
STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
CALLED = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
_MARK = object()


class _Refused(Exception):
    """The reason to refuse a file."""


@dataclass(frozen=True)
class _Name:
    """A global named in the pickle; only the name, nothing is imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> dict[str, np.ndarray]:
    """Name -> array, for a file with a dict of tensors (a state dict, also under "state_dict").

    UserError, one line, for a file that contains anything else or is damaged.
    """
    try:
        tensors, bytes_of = _archive(path) if zipfile.is_zipfile(path) else _older(path)
        _check_sizes(tensors.values())
        return {name: _array(value, bytes_of) for name, value in tensors.items()}
    except UserError:
        raise
    except Exception as error:  # whatever a damaged pickle or archive leads to
        reason = str(error) or type(error).__name__
        raise UserError(f"{path} is not a file of tensors: {reason}") from error


def _archive(path: Path) -> tuple[dict[str, _Tensor], Callable[[_Storage], bytes]]:
    with zipfile.ZipFile(path) as archive:
        listed = {info.filename: info for info in archive.infolist()}
        found = [name for name in listed if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(found) != 1:
            raise _Refused("the archive does not have exactly one data.pkl")
        if (
            listed[found[0]].file_size > MAX_PICKLE_BYTES
            or sum(info.file_size for info in listed.values()) > MAX_BYTES
        ):
            raise _Refused(TOO_LARGE)
        top = found[0].removesuffix("data.pkl")
        order = f"{top}byteorder"
        if order in listed and archive.read(order).strip() != b"little":
            raise _Refused("it is not in little-endian byte order")
        tensors = _tensors(_interpret(io.BytesIO(archive.read(found[0]))))

    def bytes_of(storage: _Storage) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(f"{top}data/{storage.key}")

    return tensors, bytes_of


def _older(path: Path) -> tuple[dict[str, _Tensor], Callable[[_Storage], bytes]]:
    """Five pickles (magic number, protocol, machine, object, keys of the storages), then each
    storage: its count and its values.
    """
    with path.open("rb") as file:
        if path.stat().st_size > MAX_BYTES:
            raise _Refused(TOO_LARGE)
        if _interpret(file) != MAGIC:
            raise _Refused("it is neither an archive of torch.save nor its older format")
        _interpret(file)
        machine = _interpret(file)
        if not (isinstance(machine, dict) and machine.get("little_endian") is True):
            raise _Refused("it is not in little-endian byte order")
        storages: dict[str, _Storage] = {}
        tensors = _tensors(_interpret(file, storages))
        data = {}
        for key in _interpret(file):
            storage = storages[key]
            if int.from_bytes(file.read(8), "little") != storage.count:
                raise _Refused(f"the storage {key} does not have the stated size")
            data[key] = file.read(storage.count * np.dtype(storage.dtype).itemsize)
    return tensors, lambda storage: data[storage.key]


def _tensors(value: Any) -> dict[str, _Tensor]:
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict):
        raise _Refused("its object is not a dict of tensors")
    return {str(name): tensor for name, tensor in value.items() if isinstance(tensor, _Tensor)}


def _check_sizes(tensors: Iterable[_Tensor]) -> None:
    """A stride of 0 makes a tensor of any size out of one number."""
    sizes = (math.prod(each.shape) * np.dtype(each.storage.dtype).itemsize for each in tensors)
    if sum(sizes) > MAX_BYTES:
        raise _Refused(TOO_LARGE)


def _array(tensor: _Tensor, bytes_of: Callable[[_Storage], bytes]) -> np.ndarray:
    kind = np.dtype(tensor.storage.dtype)
    raw = bytes_of(tensor.storage)
    if len(raw) != tensor.storage.count * kind.itemsize:
        raise _Refused(f"the storage {tensor.storage.key} is truncated")
    last = tensor.offset + sum(
        (size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min((tensor.offset, *tensor.shape, *tensor.strides), default=0) < 0 or (
        0 not in tensor.shape and last >= tensor.storage.count
    ):
        raise _Refused("a tensor exceeds its storage")
    flat = np.frombuffer(raw, kind)[tensor.offset :]
    view = np.lib.stride_tricks.as_strided(
        flat, tensor.shape, [step * kind.itemsize for step in tensor.strides]
    )
    return np.ascontiguousarray(view).reshape(tensor.shape)


def _interpret(file: BinaryIO, storages: dict[str, _Storage] | None = None) -> Any:
    """The value of one pickle, made of plain values and the tensors above."""
    machine = _Machine({} if storages is None else storages)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_OPCODES:
            raise _Refused("it has too many opcodes")
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.step(opcode.name, argument)
    raise _Refused("it has no end")


class _Machine:
    """The pickle machine without anything that could act: it puts plain values on a stack."""

    PLAIN = frozenset(
        (
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
            "BININT",
            "BININT1",
            "BININT2",
            "LONG1",
            "BINFLOAT",
            "BINSTRING",
            "SHORT_BINSTRING",
        )
    )
    CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

    def __init__(self, storages: dict[str, _Storage]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages

    def step(self, name: str, argument: Any) -> None:
        push, pop = self.stack.append, self.stack.pop
        if name in ("PROTO", "FRAME"):
            return
        if name in self.PLAIN:
            push(argument)
        elif name in self.CONSTANTS:
            push(self.CONSTANTS[name])
        elif name == "MARK":
            push(_MARK)
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            push({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name == "TUPLE":
            push(tuple(self._marked()))
        elif name in self.TUPLES:
            size = self.TUPLES[name]
            self.stack[-size:] = [tuple(self.stack[-size:])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif name in ("SETITEM", "SETITEMS"):
            items = self._marked() if name == "SETITEMS" else [pop() for _ in range(2)][::-1]
            self._a(dict).update(zip(map(_plain_key, items[::2]), items[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            items = self._marked() if name == "APPENDS" else [pop()]
            self._a(list).extend(items)
        elif name == "GLOBAL":
            push(_named(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = pop(), pop()
            push(_named(f"{_plain_key(module)} {_plain_key(attribute)}"))
        elif name == "BINPERSID":
            push(self._storage(pop()))
        elif name == "REDUCE":
            arguments, function = pop(), pop()
            push(_called(function, arguments))
        elif name == "BUILD":  # attributes of an OrderedDict (its _metadata), not needed here
            pop()
            self._a(dict)
        else:
            raise _Refused(f"it has the opcode {name}, which tensors do not need")

    def _marked(self) -> list[Any]:
        place = (
            len(self.stack)
            - 1
            - next(n for n, value in enumerate(reversed(self.stack)) if value is _MARK)
        )
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def _a(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise _Refused("it changes something that is not a plain value")
        return self.stack[-1]

    def _storage(self, stated: Any) -> _Storage:
        what, storage, key, _, count = stated[:5]
        if (
            what != "storage"
            or not isinstance(storage, _Name)
            or type(count) is not int
            or count < 0
        ):
            raise _Refused("a storage is not in torch's form")
        kind = STORAGES[storage.name.removeprefix("torch ")]
        made = _Storage(kind, str(_plain_key(key)), count)
        return self.storages.setdefault(made.key, made)


def _plain_key(value: Any) -> Any:
    """A value with a hash and a text of its own size. Tuples of tuples, each named twice, have
    texts and hashes that take longer than the universe has.
    """
    if not isinstance(value, (str, int, float, bytes, type(None))):
        raise _Refused("a key is not a plain value")
    return value


def _named(name: str) -> _Name:
    if name not in CALLED and name.removeprefix("torch ") not in STORAGES:
        raise _Refused(f"it names {name.replace(' ', '.')}, which is code, and it was not run")
    return _Name(name)


def _called(function: Any, arguments: Any) -> Any:
    name = function.name if isinstance(function, _Name) else None
    if name == "collections OrderedDict":
        return {_plain_key(key): value for key, value in (arguments[0] if arguments else ())}
    if name == "torch._utils _rebuild_tensor_v2":
        storage, offset, shape, strides = arguments[:4]
        if not isinstance(storage, _Storage) or not all(
            type(n) is int for n in (offset, *shape, *strides)
        ):
            raise _Refused("a tensor is not in torch's form")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))
    if name == "torch._utils _rebuild_parameter":
        return arguments[0]
    raise _Refused("it calls something that tensors do not need")
