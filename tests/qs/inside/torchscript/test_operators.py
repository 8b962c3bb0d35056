"""Every operator of the table, as torch compiles it, answers what ONNX Runtime answers; and what is
refused before torch sees it.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")

from qs.base.errors import UserError  # noqa: E402
from qs.inside.torchscript.compiling import CompilingService, scripted  # noqa: E402
from qs.inside.torchscript.graph import read_graph  # noqa: E402
from qs.inside.torchscript.writing import OPERATORS, WritingService, script_for  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's notes on the future of TorchScript
OPSET = 17
RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 3, 4)).astype(np.float32)
POSITIVE = np.abs(X) + 0.5
SMALL = (X / 4).clip(-0.9, 0.9)
PICTURE = RNG.standard_normal((2, 4, 6, 5)).astype(np.float32)
IDS = np.array([[0, 2, -1], [1, 1, 0]])
TYPES = {"float32": 1, "int64": 7, "int32": 6, "bool": 9, "uint8": 2, "int8": 3, "float64": 11}


def const(value, dtype=np.float32):
    return np.asarray(value, dtype)


def ints(*values):
    return const(values, np.int64)


class Fixed:
    """An input that is a constant of the graph."""

    def __init__(self, *values, dtype=np.int64):
        self.array = np.asarray(values if len(values) != 1 else values[0], dtype)
        if len(values) == 1 and np.ndim(values[0]) == 0 and dtype is np.int64:
            self.array = np.asarray([values[0]], dtype)


def one(value, dtype=np.float32):
    """A constant of no dimensions."""
    fixed = Fixed(0)
    fixed.array = np.asarray(value, dtype)
    return fixed


def whole(array):
    """A constant as it is."""
    fixed = Fixed(0)
    fixed.array = np.asarray(array)
    return fixed


def model_of(nodes, inputs, outputs, fixed, opset=OPSET):
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, TYPES[str(array.dtype)], [None] * array.ndim)
            for name, array in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(each, name) for name, each in fixed.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_both(tmp_path, model, feeds, outputs):
    """(ONNX Runtime's answers, torch's)."""
    import onnxruntime

    path = tmp_path / "m.onnx"
    onnx.save(model, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = session.run(outputs, feeds)
    script = script_for(path, list(feeds), outputs)
    module = scripted(
        script.source, {name: (each, script.types[name]) for name, each in script.constants.items()}
    )
    with torch.no_grad():
        answer = module(*(torch.from_numpy(each) for each in feeds.values()))
    return wanted, list(answer) if isinstance(answer, tuple) else [answer]


def case(op, *inputs, outputs=1, opset=OPSET, **attributes):
    return op, inputs, outputs, opset, attributes


CASES: list = []
for _op in (
    *("Abs", "Exp", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Tan", "Sinh", "Cosh"),
    *("Atan", "Asinh", "Tanh", "Sigmoid", "Relu", "Erf", "Neg", "Softplus", "Softsign"),
    *("HardSwish", "Identity", "LeakyRelu", "Elu", "Celu", "Selu", "HardSigmoid"),
    *("ThresholdedRelu", "IsNaN", "IsInf", "LogSoftmax", "Softmax", "Dropout"),
):
    CASES.append(case(_op, X))
CASES += [case(op, POSITIVE) for op in ("Log", "Sqrt", "Reciprocal")]
CASES += [case("Acosh", POSITIVE + 1), *(case(op, SMALL) for op in ("Asin", "Acos", "Atanh"))]
for _op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Greater", "Less", "GreaterOrEqual", "Equal"):
    CASES += [case(_op, X, X[:, :1] + 1), case(_op, X, one(0.7)), case(_op, one(2.5), X)]
for _op in ("And", "Or", "Xor"):
    CASES.append(case(_op, X > 0, X < 1))
CASES += [
    case("Div", ints(7, -7, 9), ints(2, 2, -4)),
    case("Div", ints(7, -7, 9), one(2, np.int64)),
    case("Mod", ints(7, -7, 9), ints(2, 3, -4)),
    case("Mod", X, one(0.3), fmod=1),
    case("Not", X > 0),
    case("Pow", X, one(2.0)),
    case("Pow", POSITIVE, X),
    case("Sum", X, X, X),
    case("Mean", X, X + 1),
    case("PRelu", X, whole(const([0.1, 0.2, 0.3, 0.4]))),
    case("Where", X > 0, X, one(0.0)),
    case("Clip", X, one(-0.5), one(0.5)),
    case("Clip", X, "", one(0.5)),
    case("Clip", X, X.min(), one(0.5)),
    case("Gelu", X, opset=20, approximate="tanh"),
    case("Mish", X, opset=18),
    case("Cast", X, to=TensorProto.INT32),
    case("Cast", X > 0, to=TensorProto.FLOAT),
    case("CastLike", X, ints(1)),
    case("Softmax", X, axis=1),
    case("Softmax", X, opset=12, axis=1),
    # shapes
    case("Shape", X),
    case("Shape", X, start=1),
    case("Size", X),
    case("Reshape", X, Fixed(0, -1)),
    case("Reshape", X, ints(4, 0, 2)),
    case("Flatten", X),
    case("Flatten", X, axis=2),
    case("Flatten", X, axis=-1),
    case("Squeeze", X[:1], Fixed(0)),
    case("Squeeze", X[:1, :1], Fixed(0, -2)),
    case("Squeeze", X[:1, :1]),
    case("Unsqueeze", X, Fixed(1)),
    case("Unsqueeze", X, Fixed(-1, 0)),
    case("Unsqueeze", X, Fixed(1, 2)),
    case("Transpose", X),
    case("Transpose", X, perm=[1, 0, 2]),
    case("Concat", X, X, axis=-1),
    case("Split", X, Fixed(1, 2), outputs=2, axis=1),
    case("Split", X, outputs=2, axis=2),
    case("Slice", X, Fixed(1), Fixed(99), Fixed(1)),
    case("Slice", X, Fixed(-1), Fixed(-99), Fixed(1), Fixed(-1)),
    case("Slice", X, Fixed(3), Fixed(0), Fixed(2), Fixed(-2)),
    case("Slice", X, ints(1), ints(3), ints(2), ints(1)),
    case("Gather", X, IDS, axis=1),
    case("Gather", X, one(-1, np.int64), axis=2),
    case("Gather", whole(X[0]), np.abs(IDS)),
    case("GatherElements", X, np.array([[[0, -1, 1, 0]]] * 2), axis=1),
    case("GatherND", X, np.array([[0, 1], [1, -1]])),
    case("ScatterND", X, np.array([[0, 1], [1, 2]]), X[:, 0] * 9),
    case("ScatterElements", X, np.array([[[0, -1, 1, 0]]] * 2), X[:, :1] * 9, axis=1),
    case("Expand", X[:, :1], Fixed(3, 1)),
    case("Expand", X, Fixed(2, 1, 1, 4)),
    case("Tile", X, Fixed(1, 2, 1)),
    case("Pad", X, Fixed(0, 1, 0, 0, 0, 2), one(1.5)),
    case("Pad", X, ints(0, 1, 0, 0, 0, 2)),
    case("Pad", PICTURE, Fixed(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect"),
    case("Pad", X, Fixed(0, 0, 1, 0, 0, 2), mode="edge"),
    case("ConstantOfShape", ints(2, 3)),
    case("Range", one(1, np.int64), const(7, np.int64), one(2, np.int64)),
    case("OneHot", np.abs(IDS), one(4, np.int64), whole(const([0.0, 2.0]))),
    case("Trilu", X, upper=0),
    case("NonZero", X > 0),
    case("DepthToSpace", PICTURE, blocksize=2),
    case("DepthToSpace", PICTURE, blocksize=2, mode="CRD"),
    case("SpaceToDepth", PICTURE[:, :, :, :4], blocksize=2),
    # one of many
    case("ReduceSum", X, Fixed(1), keepdims=0),
    case("ReduceSum", X),
    case("ReduceSum", X, noop_with_empty_axes=1),
    case("ReduceSum", ints(1, 2, 3)),
    case("ReduceMean", X, axes=[-1]),
    case("ReduceMax", X, axes=[0, 2]),
    case("ReduceMin", X, opset=18),
    case("ReduceProd", X, axes=[0, -1], keepdims=0),
    case("ReduceL1", X, axes=[1]),
    case("ReduceL2", X, axes=[1]),
    case("ReduceSumSquare", X, axes=[1]),
    case("ReduceLogSum", POSITIVE, axes=[1]),
    case("ReduceLogSumExp", X, axes=[1]),
    case("ArgMax", X, axis=1, keepdims=0),
    case("ArgMin", X, axis=-1),
    case("TopK", X, Fixed(2), outputs=2, axis=2),
    case("CumSum", X, one(1, np.int64)),
    case("CumSum", X, one(1, np.int64), exclusive=1, reverse=1),
    # layers
    case("MatMul", X, whole(X[0, :, :].T)),
    case("MatMul", X, X.transpose(0, 2, 1)),
    case("Gemm", X[0], whole(X[1]), whole(const([1, 2, 3])), transB=1),
    case("Gemm", X[0], X[1], whole(const([[1], [2], [3], [4]])), transA=1, alpha=0.5, beta=2.0),
    case("Einsum", X, X, equation="bij,bkj->bik"),
    case("GlobalAveragePool", PICTURE),
    case("GlobalMaxPool", PICTURE),
    case("MaxPool", PICTURE, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    case("MaxPool", PICTURE, kernel_shape=[2, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("MaxPool", PICTURE, kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2]),
    case("AveragePool", PICTURE, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", PICTURE, kernel_shape=[3, 3], pads=[0, 1, 1, 1]),
    case("AveragePool", PICTURE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("BatchNormalization", PICTURE, *(whole(np.abs(PICTURE[0, :, i, 0])) for i in range(4))),
    case("InstanceNormalization", PICTURE, *(whole(PICTURE[0, :, i, 0]) for i in range(2))),
    case("LayerNormalization", X, whole(X[0, 0]), whole(X[1, 1])),
    case("LayerNormalization", X, whole(X[0]), whole(X[1]), axis=1),
    case("GroupNormalization", PICTURE, *(whole(PICTURE[0, :, i, 0]) for i in (0, 1)), opset=21,
         num_groups=2),
    case("LRN", PICTURE, size=3),
    case("Resize", PICTURE, "", whole(const([1, 1, 2, 2])), mode="nearest", nearest_mode="floor",
         coordinate_transformation_mode="asymmetric"),
    case("Resize", PICTURE, "", whole(const([1, 1, 0.5, 1.5])), mode="nearest"),
    case("Resize", PICTURE, "", "", Fixed(2, 4, 9, 7), mode="linear"),
    case("Resize", PICTURE, "", "", Fixed(2, 4, 9, 7), mode="linear",
         coordinate_transformation_mode="align_corners"),
    # whole numbers
    case("QuantizeLinear", X, one(0.05), one(3, np.uint8)),
    case("DequantizeLinear", np.arange(6, dtype=np.uint8), one(0.05), one(3, np.uint8)),
    case("DequantizeLinear", whole(np.arange(6, dtype=np.int8).reshape(2, 3)),
         whole(const([0.5, 0.25])), axis=0),
    case("DynamicQuantizeLinear", X, outputs=3),
    case("MatMulInteger", np.arange(6, dtype=np.uint8).reshape(2, 3),
         whole(np.arange(12, dtype=np.int8).reshape(3, 4)), one(2, np.uint8)),
]  # fmt: skip
for _rank, _shape in ((1, (2, 4, 9)), (2, (2, 4, 6, 5)), (3, (2, 4, 4, 5, 3))):
    _x = RNG.standard_normal(_shape).astype(np.float32)
    _w = RNG.standard_normal((6, 2, *[3] * _rank)).astype(np.float32)
    CASES += [
        case("Conv", _x, whole(_w), whole(_w.reshape(6, -1)[:, 0]), group=2, pads=[1] * 2 * _rank),
        case("Conv", _x, whole(_w), group=2, pads=[1] * _rank + [2] * _rank, strides=[2] * _rank),
        case("Conv", _x, whole(_w), group=2, auto_pad="SAME_LOWER", strides=[2] * _rank),
        case("ConvTranspose", _x, whole(_w[:4]), strides=[2] * _rank, pads=[1] * 2 * _rank),
        case("ConvTranspose", _x, whole(_w[:4]), pads=[0] * _rank + [1] * _rank),
    ]


@pytest.mark.parametrize("opset", sorted({each[3] for each in CASES}))
def test_torch_answers_what_onnx_runtime_answers(tmp_path, opset):
    """All cases of an opset as one graph: a session and a compilation each would take minutes."""
    nodes, feeds, fixed, made = [], {"unused": X}, {}, []
    for number, (op, inputs, outputs, own, attributes) in enumerate(CASES):
        if own != opset:
            continue
        names = []
        for at, each in enumerate(inputs):
            names.append("" if isinstance(each, str) else f"{op}_{number}_{at}")
            if isinstance(each, Fixed):
                fixed[names[-1]] = each.array
            elif names[-1]:
                feeds[names[-1]] = np.asarray(each)
        results = [f"{op}_{number}_result_{at}" for at in range(outputs)]
        nodes.append(helper.make_node(op, names, results, **attributes))
        made += results
    wanted, got = run_both(tmp_path, model_of(nodes, feeds, made, fixed, opset), feeds, made)
    faults = [fault for each in zip(made, wanted, got, strict=True) if (fault := _fault(*each))]
    assert not faults


def _fault(name, want, answer):
    found = answer.numpy()
    if (found.shape, found.dtype) != (want.shape, want.dtype):
        return f"{name}: {found.dtype} {found.shape}, not {want.dtype} {want.shape}"
    near = want.dtype.kind == "f"
    same = np.allclose(found, want, 1e-4, 1e-5) if near else np.array_equal(found, want)
    return "" if same else f"{name}: {found} is not {want}"


def test_every_operator_is_in_the_table_of_tests():
    tested = {each[0] for each in CASES}
    aside = {"linear+bias", "gelu", "Constant", "Upsample", "Swish"}  # below, or of other opsets
    aside |= {name for name in OPERATORS if name.startswith("Bitwise")} | {"LessOrEqual"}
    assert not set(OPERATORS) - tested - aside


def test_lengths_that_are_computed_follow_the_feeds(tmp_path):
    """Reshape, Expand and a mask by what Shape says, as exporters write them."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Gather", ["shape", "first"], ["length"]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batch1"]),
        helper.make_node("Mul", ["length", "four"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "axes"], ["flat1"]),
        helper.make_node("Concat", ["batch1", "flat1"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
        helper.make_node("Range", ["zero", "length", "one"], ["places"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["shape", "axes", "ends"], ["two"]),
        helper.make_node("Expand", ["one", "two"], ["spread"]),
    ]
    fixed = {"zero": const(0, np.int64), "first": const(1, np.int64), "one": const(1, np.int64)}
    fixed |= {"axes": ints(0), "four": const(4, np.int64), "ends": ints(2)}
    outputs = ["y", "places", "sizes", "spread"]
    model = model_of(nodes, {"x": X}, outputs, fixed)
    onnx.save(model, str(tmp_path / "m.onnx"))
    script = script_for(tmp_path / "m.onnx", ["x"], outputs)
    assert "self." not in script.source.split("torch.tensor")[0]  # lengths need no tensor
    for size in (1, 3):
        feeds = {"x": np.resize(X, (size, size + 2, 4))}
        wanted, got = run_both(tmp_path, model, feeds, outputs)
        for want, answer in zip(wanted, got, strict=True):
            np.testing.assert_array_equal(answer.numpy(), want)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("halved", [0, 1, 2])
def test_a_linear_layer_and_the_exact_gelu_are_one_call_each(tmp_path, first, halved):
    pair = ["product", "bias"] if first else ["bias", "product"]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", pair, ["h"]),
        helper.make_node("Div", ["h", "root"], ["scaled"]),
        helper.make_node("Erf", ["scaled"], ["erf"]),
        helper.make_node("Add", ["erf", "one"] if first else ["one", "erf"], ["raised"]),
    ]
    nodes += [
        [
            helper.make_node("Mul", ["h", "raised"], ["whole"]),
            helper.make_node("Mul", ["whole", "half"], ["y"]),
        ],
        [
            helper.make_node("Mul", ["half", "h"], ["whole"]),
            helper.make_node("Mul", ["whole", "raised"], ["y"]),
        ],
        [
            helper.make_node("Mul", ["raised", "half"], ["whole"]),
            helper.make_node("Mul", ["h", "whole"], ["y"]),
        ],
    ][halved]
    fixed = {"w": X[0].T.copy(), "bias": const([1, 2, 3]), "root": const(np.sqrt(2))}
    fixed |= {"one": const(1), "half": const(0.5)}
    model = model_of(nodes, {"x": X}, ["y"], fixed)
    wanted, got = run_both(tmp_path, model, {"x": X}, ["y"])
    np.testing.assert_allclose(got[0].numpy(), wanted[0], atol=1e-6)
    script = script_for(tmp_path / "m.onnx", ["x"], ["y"])
    assert [line.split(" = ")[-1].split("(")[0] for line in script.source.splitlines()[2:4]] == [
        "torch.nn.functional.linear",
        "torch.nn.functional.gelu",
    ]
    # a product that is used elsewhere stays what it is
    both = model_of(nodes, {"x": X}, ["y", "product", "erf"], fixed)
    wanted, got = run_both(tmp_path, both, {"x": X}, ["y", "product", "erf"])
    for want, answer in zip(wanted, got, strict=True):
        np.testing.assert_allclose(answer.numpy(), want, atol=1e-6)


INFO = {
    "model": "m",
    "model_path": "m.pt",
    "inputs": "ids,x",
    "outputs": "y,ids_out",
    "input_shape": {"ids": [1, 3], "x": [1, 4]},
    "input_type": "INT32,FLOAT32",
    "input_range": {"ids": [0, 2]},
}


def test_the_archive_takes_positions_and_is_checked(tmp_path):
    """Inputs in the model info's order, which is not the file's, integers as it types them; names
    that are code stay data.
    """
    evil = "x'); import os; os.abort()  #\n"
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name=evil),
        helper.make_node("ReduceSum", ["rows", "axes"], [evil], keepdims=0),
        helper.make_node("Add", [evil, "x"], ["y"]),
        helper.make_node("Identity", ["ids"], ["ids_out"]),
    ]
    fixed = {"table": X[0], "axes": ints(1)}
    inputs = {"x": X[0], "ids": IDS}
    onnx.save(model_of(nodes, inputs, ["ids_out", "y"], fixed), str(tmp_path / "m.onnx"))
    folder = tmp_path / "between"
    folder.mkdir()
    written = WritingService().write(str(tmp_path / "m.onnx"), INFO, str(folder))
    assert written == {"items": 4, "batch_sizes": [1, 2], "feeds": "generated"}
    assert "import" not in (folder / "forward.txt").read_text()
    found = CompilingService().compile(str(folder), str(tmp_path / "m.pt"), 1e-4)
    assert found["max_rel_diff"] < 1e-6
    loaded = torch.jit.load(str(tmp_path / "m.pt"))
    assert not loaded.training and not any(each.requires_grad for each in loaded.parameters())
    ids = torch.tensor([[0, 1, 2]] * 5, dtype=torch.int32)
    y, same = loaded(ids, torch.zeros(5, 4))
    np.testing.assert_allclose(y.numpy(), np.repeat(X[0].sum(0)[None], 5, 0), atol=1e-6)
    assert same.dtype == torch.int64 and same.shape == (5, 3)

    # whole numbers where the file takes floats
    other = INFO | {"input_type": "INT32,INT64"}
    WritingService().write(str(tmp_path / "m.onnx"), other, str(folder))
    assert CompilingService().compile(str(folder), str(tmp_path / "n.pt"), 1e-4)

    # the answers of another model
    with np.load(folder / "answers-0.npz") as stored:
        changed = dict(stored) | {"o0": stored["o0"] + 1}
    np.savez(folder / "answers-0.npz", **changed)
    with pytest.raises(UserError, match="does not answer what ONNX Runtime does.*output y differs"):
        CompilingService().compile(str(folder), str(tmp_path / "m.pt"), 1e-4)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (helper.make_node("Det", ["x"], ["y"], name="det\n7"), r"'det.*7'.*\(Det\).*not known"),
        (helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"), r"com\.microsoft\.Gelu"),
        (helper.make_node("linear+bias", ["x"], ["y"]), "not turned into TorchScript"),
        (helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING), "STRING"),
        (helper.make_node("Cast", ["x"], ["y"]), "are not those of the operator"),
        (helper.make_node("Transpose", ["x"], ["y"], perm=["a'b"]), "not those of the operator"),
        (helper.make_node("Einsum", ["x"], ["y"], equation="ij'->"), "signs than letters"),
        (helper.make_node("Conv", ["x", "x"], ["y"]), "neither its weights nor"),
        (helper.make_node("Pad", ["x"], ["y"], mode="'"), "its mode is"),
        (helper.make_node("Relu", ["nobody"], ["y"]), "computed by no earlier node"),
        (helper.make_node("Add", ["x"], ["y"]), "has no input 1"),
    ],
)
def test_a_node_that_is_not_known_is_named(tmp_path, node, said):
    onnx.save(model_of([node], {"x": X}, ["y"], {}), str(tmp_path / "m.onnx"))
    with pytest.raises(UserError, match=said) as raised:
        script_for(tmp_path / "m.onnx", ["x"], ["y"])
    assert "\n" not in str(raised.value)


def test_only_what_the_outputs_need_is_written(tmp_path):
    nodes = [
        helper.make_node("Det", ["x"], ["unknown"]),
        helper.make_node("Dropout", ["x"], ["y", "mask"]),
    ]
    onnx.save(model_of(nodes, {"x": X}, ["y"], {}), str(tmp_path / "m.onnx"))
    assert [each.op for each in read_graph(tmp_path / "m.onnx", ["x"], ["y"]).nodes] == ["Dropout"]
    (script := script_for(tmp_path / "m.onnx", ["x"], ["y"])).source.endswith("return a0\n")
    assert not script.constants
