"""OpenVINO's names of element types, which its IR files use too, as ONNX Runtime names a tensor's
type.
"""

from __future__ import annotations

TYPE_OF_ELEMENT = {
    "f32": "tensor(float)",
    "f16": "tensor(float16)",
    "f64": "tensor(double)",
    "i8": "tensor(int8)",
    "u8": "tensor(uint8)",
    "i16": "tensor(int16)",
    "u16": "tensor(uint16)",
    "i32": "tensor(int32)",
    "u32": "tensor(uint32)",
    "i64": "tensor(int64)",
    "u64": "tensor(uint64)",
    "boolean": "tensor(bool)",
    "string": "tensor(string)",
}
