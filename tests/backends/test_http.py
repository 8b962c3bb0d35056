"""The backend HTTP through the program, and the files of docs/templates.md as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from qs.remote.templates.reading import read_template
from tests.qs.program import ROOT, qs
from tests.qs.results import read_result
from tests.servers import rest

PAGE = (ROOT / "docs" / "templates.md").read_text()
FILES = dict(re.findall(r"^```json\n// (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
TEMPLATES = [name for name in FILES if name != "answers.json"]


def app(asked: rest.Asked) -> rest.Answer:
    """What the page's servers answer."""
    if asked.method in ("HEAD", "GET"):
        return rest.Answer(200)
    if asked.path == "/v1/models/digits:predict":
        image = np.array(asked.json["instances"], np.float32)
        return rest.as_json({"predictions": image.reshape(len(image), -1)[:, :10].tolist()})
    if asked.path == "/predict":
        assert b"\xff\xd8" in asked.body and b'filename="a.jpg"' in asked.body
        return rest.as_json({"predictions": [{"score": 0.9, "label": "cat"}]})
    assert asked.headers["authorization"] == "secret"
    assert set(asked.json) == {"text", "limit"}
    return rest.as_json({"label": "sport", "score": 0.93})


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_of_the_page_is_one(tmp_path, name):
    file = tmp_path / name
    file.write_text(FILES[name])
    found = read_template(file)
    assert found.kind and found.inputs


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", re.findall(r"^qs load http://\S+ (.+)$", PAGE, re.MULTILINE), ids=TEMPLATES
)
def test_a_command_of_the_page_measures(tmp_path, line):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    (tmp_path / "requests.jsonl").write_text('{"text": "a", "limit": 1}\n')
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"\xff\xd8\xff\x00")
    with rest.served(app) as port:
        url = f"http://127.0.0.1:{port}"
        ran = qs("load", url, *line.split(), "--out", "out", cwd=tmp_path, TOKEN="secret")
    assert "Traceback" not in ran.stderr
    (file,) = tmp_path.rglob("result-*.json")
    for row in read_result(file)["Performance"]:
        assert row["Completed"] > 0 and not row["Errors"], ran.stdout
        assert row["Verdict"] == "VALID"
    assert "secret" not in file.read_text() + ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("form", ["http", "tfserving+http", "torchserve+http"])
def test_what_is_served_over_http_scores_as_the_model_here(tmp_path, form):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = Path(ROOT, "model_zoo", "digits", "digits-cnn-onnx-fp32.onnx")
    session = onnxruntime.InferenceSession(str(model), options)

    def run(image):
        return session.run(None, {"image": np.array(image, np.float32)})[0]

    tensors = {"image": ("DT_FLOAT", [-1, 1, 8, 8])}, {"logits": ("DT_FLOAT", [-1, 10])}
    tensorflow = rest.TfServing("digits", *tensors, lambda fed: {"logits": run(fed["image"])})
    torch = rest.TorchServe("digits", lambda item: run([item])[0].tolist())
    (tmp_path / "tensors.json").write_text(FILES["tensors.json"])
    with rest.served(torch if form == "torchserve+http" else tensorflow) as port:
        answers = {"url": f"{form}://127.0.0.1:{port}"}
        if form == "http":
            answers["template"] = str(tmp_path / "tensors.json")
        else:
            answers["url"] += "/digits"
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        ran = qs(
            *("run", "--task", "digits", "--hardware_type", "HTTP", "--out", tmp_path / "out"),
            *("--answers", tmp_path / "answers.json", "--batch_sizes", 1, "--iterations", 20),
        )
    assert "Traceback" not in ran.stderr
    (file,) = (tmp_path / "out").rglob("result-*.json")
    result = read_result(file)
    assert result["Accuracy"]["Top-1"] == pytest.approx(0.9867, abs=1e-4), ran.stderr
    (row,) = result["Performance"]
    assert row["Completed"] == 20 * row["Clients"] and not row["Errors"]
