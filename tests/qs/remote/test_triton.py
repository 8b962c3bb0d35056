"""KServe v2 as Triton speaks it, for real: every type in both forms and over gRPC, shared memory,
sequences, compression, what its configuration says.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote.asked import Asked
from qs.remote.protocol import NotReady, Unanswered
from qs.remote.serving import Serving
from tests.servers.mlserver import kept_folder
from tests.servers.triton import ServedFolder, TritonServer, triton_environment

pytestmark = pytest.mark.slow

# datatype -> as a configuration names it
NUMBERS = [f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)]
NUMBERS += ["BOOL", "BF16", "FP16", "FP32", "FP64"]
TYPES = {**dict(zip(NUMBERS, NUMBERS)), "BYTES": "STRING"}


def _tensors(side, prefix, names=TYPES):
    return "".join(
        f'{side} [{{ name: "{prefix}_{name}", data_type: TYPE_{TYPES[name]}, dims: [ -1 ] }}]\n'
        for name in names
    )


ECHO = """
    import json
    import triton_python_backend_utils as pb


    class TritonPythonModel:
        def initialize(self, args):
            self.names = [each["name"] for each in json.loads(args["model_config"])["input"]]

        def execute(self, requests):
            answers = []
            for request in requests:
                tensors = []
                for name in self.names:
                    given = pb.get_input_tensor_by_name(request, name)
                    called = "out" + name[2:]
                    if name == "in_BF16":  # numpy has no such type
                        tensors.append(pb.Tensor.from_dlpack(called, given))
                    else:
                        tensors.append(pb.Tensor(called, given.as_numpy()))
                answers.append(pb.InferenceResponse(output_tensors=tensors))
            return answers
"""
# Of each sequence the sum so far, begun anew where it is told so, or -1 where it was not begun.
SUMS = """
    import numpy as np
    import triton_python_backend_utils as pb


    class TritonPythonModel:
        def initialize(self, args):
            self.sums = {}

        def execute(self, requests):
            answers = []
            for request in requests:
                def of(name):
                    return pb.get_input_tensor_by_name(request, name).as_numpy().ravel()[0]

                number = int(of("CORRID"))
                if of("START"):
                    self.sums[number] = 0.0
                if number in self.sums:
                    self.sums[number] += float(of("x"))
                found = np.array([[self.sums.get(number, -1.0)]], np.float32)
                if of("END"):
                    del self.sums[number]
                answers.append(pb.InferenceResponse(output_tensors=[pb.Tensor("y", found)]))
            return answers
"""
CONTROLS = "\n".join(
    f'{{ name: "{name}" control [{{ kind: {kind} {values} }}] }}'
    + ("," if name != "CORRID" else "")
    for name, kind, values in (
        ("START", "CONTROL_SEQUENCE_START", "fp32_false_true: [ 0, 1 ]"),
        ("END", "CONTROL_SEQUENCE_END", "fp32_false_true: [ 0, 1 ]"),
        ("CORRID", "CONTROL_SEQUENCE_CORRID", "data_type: TYPE_UINT64"),
    )
)
ONE = 'input [{ name: "x", data_type: TYPE_FP32, dims: [ 1 ] }]\n' \
      'output [{ name: "y", data_type: TYPE_FP32, dims: [ 1 ] }]\n'  # fmt: skip
MODELS = {
    "echo": ServedFolder(
        "max_batch_size: 8\n" + _tensors("input", "in") + _tensors("output", "out")
        + "instance_group [{ kind: KIND_CPU, count: 2 }]\n"
        + "dynamic_batching { max_queue_delay_microseconds: 50 }\n",
        ECHO,
    ),
    "sums": ServedFolder(
        f"max_batch_size: 4\n{ONE}sequence_batching {{ control_input [ {CONTROLS} ] }}\n", SUMS
    ),
    "decoupled": ServedFolder(f"{ONE}model_transaction_policy {{ decoupled: True }}\n", ECHO),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with TritonServer(triton_environment(kept_folder(tmp_path_factory)), MODELS) as found:
        yield found


@pytest.fixture(params=["http", "grpc"])
def serving(request, server):
    """Makes one for a model; all are closed."""
    made = []

    def make(model, **more):
        url = getattr(server, request.param)(model)
        made.append(Serving(Asked.of({"url": url, **more})))
        return made[-1]

    yield make
    for each in made:
        each.close()


def feeds_of(model, size=2):
    return {
        each.name: np.array([["a", "ü€"]] * size)
        if each.datatype == "BYTES"
        else np.array([[0, 1]] * size).astype(each.dtype)
        for each in model.inputs
    }


def comes_back(served, feeds):
    outputs = served.infer(feeds)
    for name, array in feeds.items():
        np.testing.assert_array_equal(outputs[f"out{name[2:]}"], array)


def test_what_it_serves(serving):
    model = serving("echo").describe()
    assert (model.name, model.version, model.server_name) == ("echo", "1", "triton")
    assert model.max_batch_size == 8
    assert {each.shape for each in model.inputs} == {(-1, -1)}
    assert model.instance_groups == ("2 x CPU",)
    assert model.facts["scheduling"] == "dynamic batching, preferred 8, queue delay up to 50 us"
    assert {"binary_tensor_data", "statistics"} <= set(model.extensions)


@pytest.mark.parametrize("more", [{}, {"compression": "gzip"}, {"shared_memory": True}], ids=str)
def test_every_type_travels_and_comes_back(serving, more):
    served = serving("echo", **more)
    comes_back(served, feeds_of(served.describe()))
    comes_back(served, feeds_of(served.describe(), 8))


def test_as_json(server):
    served = Serving(Asked.of({"url": server.http("echo"), "binary": "never"}))
    # JSON has no such types, says Triton
    with pytest.raises(Unanswered, match="FP16|BF16"):
        comes_back(served, feeds_of(served.describe()))
    served.close()


def test_shared_memory_is_let_go(server):
    for url in (server.http("echo"), server.grpc("echo")):
        served = Serving(Asked.of({"url": url, "shared_memory": True}))
        comes_back(served, feeds_of(served.describe()))
        other = Serving(Asked.of({"url": server.http("echo"), "shared_memory": True}))
        other.describe()
        registered = other.protocol._regions._registered
        assert len(registered()) == 1
        served.close()
        assert registered() == []
        other.close()


def test_sequences_keep_their_states(serving):
    served = serving("sums", sequences="3x4")
    served.describe()
    assert served.infer({"x": np.array([[5]], np.float32)})["y"].tolist() == [[5.0]]
    request = served.request({"x": np.array([[1]], np.float32)})

    async def asked():
        client = served.client()
        await client.open(3)
        sums = []
        try:
            for _ in range(8):  # two sequences after one another, three at a time
                ended = [asyncio.get_running_loop().create_future() for _ in range(3)]
                for each in ended:
                    client.start(request, each.set_result)
                for call in await asyncio.gather(*ended):
                    assert call.failure is None, call.detail
                    sums.append(served.outputs(call)["y"].item())
        finally:
            await client.close()
        return sums

    sums = asyncio.run(asked())
    assert sums == [at // 3 % 4 + 1 for at in range(24)]
    with pytest.raises(UserError, match="say --sequences N"):
        serving("sums").describe()


def test_what_is_refused(serving):
    with pytest.raises(UserError, match="is decoupled"):
        serving("decoupled").describe()
    with pytest.raises(NotReady, match="no model 'ecko'.*did you mean 'echo'"):
        serving("ecko", ready_timeout_s=0.1).describe()
    with pytest.raises(NotReady, match="no model 'echo', version 9"):
        serving("echo/versions/9", ready_timeout_s=0.1).describe()
    served = serving("echo")
    with pytest.raises(Unanswered, match="batch-size must be <= 8"):
        served.infer(feeds_of(served.describe(), 9))
