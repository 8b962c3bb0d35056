"""The protocols over HTTP that are not KServe's v2, against applications that answer as their
servers document it.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote.asked import Asked
from qs.remote.protocol import BadAnswer, NotReady
from qs.remote.protocols.template import Template
from qs.remote.protocols.tfserving import TfServing
from qs.remote.protocols.torchserve import TorchServe
from qs.tensors.contents import named
from tests.servers import rest

X = np.array([[1, 2], [3, 4]], np.float32)


def made(kind, url, **values):
    asked = Asked.of({"url": url, **values})
    return kind(asked.address(), asked)


def doubling(two: bool = False, **more) -> rest.TfServing:
    inputs = {"x": ("DT_FLOAT", [-1, 2])} | ({"t": ("DT_STRING", [-1])} if two else {})
    outputs = {"y": ("DT_FLOAT", [-1, 2])} | ({"u": ("DT_STRING", [-1])} if two else {})

    def compute(given):
        return {"y": given["x"] * 2} | ({"u": given["t"]} if two else {})

    return rest.TfServing("m", inputs, outputs, compute, **more)


class TestTfServing:
    @pytest.mark.parametrize("form", [None, "row", "column"])
    @pytest.mark.parametrize("two", [False, True])
    def test_rows_and_columns(self, form, two):
        app = doubling(two)
        ask = rest.asking(app)
        parameters = {"format": form} if form else {}
        protocol = made(TfServing, "tfserving+http://h:8501/m", parameters=parameters)
        model = protocol.describe(ask)
        assert model.version == "1"
        assert [(each.name, each.datatype, each.shape) for each in model.inputs][-1] == (
            ("x", "DT_FLOAT", (-1, 2))
        )
        feeds = {"x": X} | ({"t": np.array(["a", "b"])} if two else {})
        call = ask(protocol.request(feeds))
        assert ("inputs" if form == "column" else "instances") in app.seen[-1].json
        found = protocol.outputs(call)
        assert found["y"].tolist() == (X * 2).tolist()
        assert found["y"].dtype == np.float32
        if two:
            assert found["u"].tolist() == ["a", "b"]

    def test_version_signature_and_headers_are_sent(self, monkeypatch):
        app = doubling(version="7")
        ask = rest.asking(app)
        monkeypatch.setenv("A_TOKEN", "secret")
        protocol = made(
            TfServing,
            "tfserving+http://h/m/versions/7",
            parameters={"signature_name": "serving_default"},
            headers={"Authorization": "@env:A_TOKEN"},
        )
        protocol.describe(ask)
        ask(protocol.request({"x": X}))
        assert app.seen[-1].path == "/v1/models/m/versions/7:predict"
        assert app.seen[-1].json["signature_name"] == "serving_default"
        assert app.seen[-1].headers["authorization"] == "secret"

    def test_files_and_names_in_bytes_are_sent_in_base64(self, tmp_path):
        file = tmp_path / "a.jpg"
        file.write_bytes(b"\xff\x00")
        app = rest.TfServing(
            "m", {"i": ("DT_STRING", [-1])}, {"n": ("DT_INT64", [-1])},
            lambda given: {"n": np.array([len(each) for each in given["i"]])},
        )  # fmt: skip
        ask = rest.asking(app)
        protocol = made(TfServing, "tfserving+http://h/m")
        protocol.describe(ask)
        protocol.request({"i": np.array([named(file)])})
        ask(protocol.request({"i": np.array([named(file), "abc"])}))
        assert app.seen[-1].json == {"instances": [{"b64": "/wA="}, "abc"]}
        ask(protocol.request({"i_bytes": np.array(["abc"])}))
        assert app.seen[-1].json == {"instances": [{"b64": "YWJj"}]}

    def test_nan_travels(self):
        protocol = made(TfServing, "tfserving+http://h/m")
        sent = protocol.request({"x": np.array([[np.nan, 1]], np.float32)})
        assert b"[[NaN, 1.0]]" in sent

    def test_not_ready(self):
        for app, words in (
            (doubling(state="LOADING"), "version 1: LOADING"),
            (rest.TfServing("other", {}, {}, dict), "HTTP 404: .*Could not find"),
        ):
            with pytest.raises(NotReady, match=words):
                made(TfServing, "tfserving+http://h/m").describe(rest.asking(app))

    def test_without_metadata_a_template_states_the_inputs(self, tmp_path):
        app = doubling(metadata=False)
        with pytest.raises(UserError, match="--template FILE"):
            made(TfServing, "tfserving+http://h/m").describe(rest.asking(app))
        file = tmp_path / "t.json"
        file.write_text('{"inputs": {"x": {"type": "FLOAT32", "shape": [-1, 2]}}}')
        protocol = made(TfServing, "tfserving+http://h/m", template=str(file))
        ask = rest.asking(app)
        assert [each.name for each in protocol.describe(ask).inputs] == ["x"]
        found = protocol.outputs(ask(protocol.request({"x": X})))
        assert found["predictions"].tolist() == (X * 2).tolist()

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"format": "rows"}, "did you mean 'row'"),
            ({"signature": "a"}, "did you mean 'signature_name'"),
        ],
    )
    def test_wrong_parameters(self, parameters, words):
        with pytest.raises(UserError, match=words):
            made(TfServing, "tfserving+http://h/m", parameters=parameters)

    def test_an_unknown_signature_names_those_there_are(self):
        protocol = made(
            TfServing, "tfserving+http://h/m", parameters={"signature_name": "serving_defalt"}
        )
        with pytest.raises(UserError, match="did you mean 'serving_default'"):
            protocol.describe(rest.asking(doubling()))

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"<html>", "not JSON"),
            (b'{"predictions": [["a", "b"]]}', "output y: .*holds texts"),
            (b'{"predictions": [[1, 2, 3]]}', r"shape \[1, 3\]; allowed: \[-1, 2\]"),
            (b'{"error": "x"}', "no predictions and no outputs; it has error"),
            (b'{"predictions": [{"z": [1, 2]}]}', "has no 'y'"),
            (b"[]", "no predictions"),
        ],
    )
    def test_bad_answers(self, body, words):
        protocol = made(TfServing, "tfserving+http://h/m")
        protocol.describe(rest.asking(doubling()))
        with pytest.raises(BadAnswer, match=words):
            protocol.outputs(rest.asking(lambda asked: rest.Answer(200, body))(b"GET / HTTP/1.1"))


class TestTorchServe:
    def test_one_item_of_numbers_is_json(self):
        app = rest.TorchServe("m", lambda data: [2 * each for each in data])
        ask = rest.asking(app)
        protocol = made(TorchServe, "torchserve+http://h:8080/m")
        assert protocol.describe(ask).max_batch_size == 1
        found = protocol.outputs(ask(protocol.request({"x": X[:1]})))
        assert found["answer"].tolist() == [[2.0, 4.0]]
        assert app.seen[-1].path == "/predictions/m"
        with pytest.raises(UserError, match="takes one item"):
            protocol.request({"x": X})

    def test_several_inputs_are_an_object(self):
        app = rest.TorchServe("m", sorted)
        ask = rest.asking(app)
        protocol = made(TorchServe, "torchserve+http://h/m/versions/1.0")
        protocol.describe(ask)
        call = ask(protocol.request({"b": X[:1], "a": np.array(["t"])}))
        assert protocol.outputs(call)["answer"].tolist() == ["a", "b"]
        assert app.seen[-1].path == "/predictions/m/1.0"
        assert app.seen[-1].json == {"b": [1.0, 2.0], "a": "t"}

    def test_a_file_or_text_is_the_body(self, tmp_path):
        file = tmp_path / "kitten.jpg"
        file.write_bytes(b"\xff\xd8")
        app = rest.TorchServe("m", lambda data: {"tabby": len(data)})
        ask = rest.asking(app)
        protocol = made(TorchServe, "torchserve+http://h/m")
        protocol.describe(ask)
        call = ask(protocol.request({"data": np.array([named(file)])}))
        assert protocol.outputs(call)["answer"].tolist() == ['{"tabby": 2}']
        assert app.seen[-1].headers["content-type"] == "image/jpeg"
        ask(protocol.request({"data": np.array(["some text"])}))
        assert app.seen[-1].body == b"some text"
        assert protocol.outputs(rest.asking(lambda asked: rest.Answer(200, b"yes"))(b"A / B"))[
            "answer"
        ].tolist() == ["yes"]

    def test_a_template_states_inputs_body_and_outputs(self, tmp_path):
        file = tmp_path / "t.json"
        content = {
            "json": {"instances": "{input:x}"},
            "inputs": {"x": {"type": "FLOAT32", "shape": [-1, 2]}},
            "outputs": {"y": {"at": "predictions", "type": "FLOAT32", "shape": [-1, 2]}},
        }
        file.write_text(json.dumps(content))
        app = rest.TorchServe("m", lambda data: {"predictions": data["instances"]})
        ask = rest.asking(app)
        protocol = made(TorchServe, "torchserve+http://h/m", template=str(file))
        model = protocol.describe(ask)
        assert [each.name for each in (*model.inputs, *model.outputs)] == ["x", "y"]
        assert protocol.outputs(ask(protocol.request({"x": X[:1]})))["y"].tolist() == [[1, 2]]

    def test_not_ready(self):
        app = rest.TorchServe("m", len, healthy=False)
        with pytest.raises(NotReady, match="/ping HTTP 500"):
            made(TorchServe, "torchserve+http://h/m").describe(rest.asking(app))

    def test_wrong_parameters(self):
        for parameters, words in (
            ({"management_ulr": "x"}, "did you mean 'management_url'"),
            ({"management_url": "8081"}, "http://127.0.0.1:8081"),
        ):
            with pytest.raises(UserError, match=words):
                made(TorchServe, "torchserve+http://h/m", parameters=parameters)


def template(folder, content, url="http://h:5000/api", **values):
    file = folder / "t.json"
    file.write_text(json.dumps(content))
    return made(Template, url, template=str(file), **values)


class TestTemplate:
    IMAGE = {"image": {"type": "FLOAT32", "shape": [-1, 2]}}

    def test_json_there_and_back(self, tmp_path, monkeypatch):
        def app(asked):
            if asked.method == "HEAD":
                return rest.Answer(404)  # it answers, so it is there
            assert asked.path == "/api/classify?k=3&mode=a%20b"
            assert asked.headers["authorization"] == "Bearer s"
            assert asked.headers["content-type"] == "application/json"
            return rest.as_json({"scores": asked.json["pixels"], "id": 5})

        monkeypatch.setenv("A_TOKEN", "Bearer s")
        protocol = template(
            tmp_path,
            {
                "path": "/classify",
                "query": {"k": 3, "mode": "a b"},
                "headers": {"Authorization": "@env:A_TOKEN"},
                "json": {"pixels": "{input:image}"},
                "inputs": self.IMAGE,
                "outputs": {"s": {"at": "scores", "type": "FLOAT32", "shape": [-1, 2]}, "i": "/id"},
            },
        )
        ask = rest.asking(app)
        model = protocol.describe(ask)
        assert model.name == "t"
        assert model.max_batch_size == 0
        assert model.inputs[0].shape == (-1, 2)
        found = protocol.outputs(ask(protocol.request({"image": X})))
        assert found["s"].tolist() == X.tolist()
        assert found["i"] == 5

    def test_an_upload(self, tmp_path):
        file = tmp_path / "kitten.png"
        file.write_bytes(b"\x89PNG\r\n")
        protocol = template(
            tmp_path,
            {
                "multipart": {"file": {"value": "{input:image:bytes}"}, "top": "5"},
                "inputs": {"image": "STRING"},
            },
        )
        sent = rest.read_request(protocol.request({"image": np.array([named(file)])}))
        kind, boundary = sent.headers["content-type"].split("; boundary=")
        assert kind == "multipart/form-data"
        disposed = "Content-Disposition: form-data"
        assert sent.body == b"\r\n".join(
            [
                f"--{boundary}".encode(),
                f'{disposed}; name="file"; filename="kitten.png"'.encode(),
                b"Content-Type: image/png",
                b"",
                b"\x89PNG\r\n",
                f"--{boundary}".encode(),
                f'{disposed}; name="top"'.encode(),
                b"",
                b"5",
                f"--{boundary}--".encode(),
                b"",
            ]
        )

    def test_other_bodies(self, tmp_path):
        for content, feeds, body, kind in (
            ({"bytes": "{input:image:npy}"}, X, None, "application/octet-stream"),
            ({"text": "a {input:image:flat}"}, X, b"a [1.0,2.0,3.0,4.0]", "text/plain"),
            ({"form": {"a": "b &c", "v": "{input:image:shape}"}}, X, b"a=b+%26c&v=%5B2%2C2%5D",
             "application/x-www-form-urlencoded"),
        ):  # fmt: skip
            protocol = template(tmp_path, {**content, "inputs": self.IMAGE})
            sent = rest.read_request(protocol.request({"image": feeds}))
            assert body is None or sent.body == body
            assert sent.headers["content-type"].startswith(kind)

    def test_a_value_in_the_path_stays_one_segment(self, tmp_path):
        content = {"path": "/items/{input:id}/x", "inputs": {"id": "STRING"}}
        protocol = template(tmp_path, content, "http://h/api/?key=1")
        sent = rest.read_request(protocol.request({"id": np.array(["../a b?c=é"])}))
        assert (sent.method, sent.path) == ("GET", "/api/items/..%2Fa%20b%3Fc%3D%C3%A9/x?key=1")

    def test_a_sample_cannot_smuggle_a_header(self, tmp_path):
        content = {"headers": {"X-Id": "{input:id}"}, "inputs": {"id": "STRING"}}
        protocol = template(tmp_path, content)
        with pytest.raises(UserError, match="X-Id: a sample's text has several lines"):
            protocol.request({"id": np.array(["a\r\nHost: b"])})

    def test_status(self, tmp_path):
        protocol = template(tmp_path, {"json": 1, "status": [200, 404]})
        for status, failure in ((200, None), (404, None), (202, "HTTP 202"), (500, "HTTP 500")):
            call = rest.asking(lambda asked, s=status: rest.Answer(s))(b"GET / HTTP/1.1\r\n\r\n")
            assert protocol.judge is not None
            protocol.judge(call)
            assert call.failure == failure

    def test_not_ready(self, tmp_path):
        protocol = template(tmp_path, {"json": 1, "ready": "/health"})
        with pytest.raises(NotReady, match="http://h:5000/api: /health HTTP 503"):
            protocol.describe(rest.asking(lambda asked: rest.Answer(503)))

    def test_a_request_without_fields_is_always_the_same(self, tmp_path):
        protocol = template(tmp_path, {"json": {"a": 1}})
        model = protocol.describe(rest.asking(lambda asked: rest.Answer(200)))
        assert [each.name for each in model.inputs] == ["request"]
        assert "the same request each time" in model.facts["samples"]
        assert protocol.request({"request": X}).endswith(b'{"a":1}')

    def test_what_is_asked_for_wrongly(self, tmp_path):
        with pytest.raises(UserError, match="docs/templates.md"):
            made(Template, "http://h/")
        with pytest.raises(UserError, match="write them into it"):
            template(tmp_path, {"json": 1}, parameters={"a": "b"})
        protocol = template(tmp_path, {"json": "{input:image}", "inputs": self.IMAGE})
        with pytest.raises(UserError, match="not among the samples' inputs: other"):
            protocol.request({"other": X})
