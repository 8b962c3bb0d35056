"""What is measured and on what: a word or an option, the beginning of a name, and a backend that
was left out.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import Faults, UserError
from qs.base.workspace import Workspaces
from qs.evaluate.choosing import only_backend
from tests.qs.program import ROOT, qs, refused

DIGITS = "digits-cnn-onnx-fp32"
SHIPPED = Workspaces((ROOT,))


def workspace(folder: Path, *backends: str) -> Workspaces:
    """With backends of which nothing is known but their names, and of CPU that it reads ONNX."""
    for name in backends:
        own = folder / "backends" / name
        own.mkdir(parents=True)
        (own / f"runtime_backend_{name.lower()}.py").write_text("")
        reads = "('onnx',)" if name == "CPU" else "()"
        code = f"class CompileBackend{name}:\n    model_formats = {reads}\n"
        (own / f"compile_backend_{name.lower()}.py").write_text(code)
    return Workspaces((folder,))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (DIGITS, DIGITS),
        ("digits", DIGITS),
        ("DIGITS_cnn", DIGITS),
        ("minilm-onnx-i", "minilm-onnx-int8"),
        ("no-such-task", "no-such-task"),
    ],
)
def test_the_beginning_of_a_tasks_name_is_enough(typed: str, meant: str) -> None:
    assert SHIPPED.task_name(typed) == meant


def test_a_whole_name_wins_over_those_that_begin_so(tmp_path: Path) -> None:
    (tmp_path / "workloads").mkdir()
    for name in ("a", "ab"):
        (tmp_path / "workloads" / f"{name}.json").write_text("{}")
    assert Workspaces((tmp_path,)).task_name("a") == "a"


def test_of_one_model_in_several_formats_the_onnx_one_is_meant(tmp_path: Path) -> None:
    (tmp_path / "workloads").mkdir()
    names = ("a-cnn-tf-fp32", "a-cnn-torch-fp32", "a-cnn-onnx-fp32", "b-onnx-fp32", "b-tf-int8")
    for name in names:
        (tmp_path / "workloads" / f"{name}.json").write_text("{}")
    assert Workspaces((tmp_path,)).task_name("a") == "a-cnn-onnx-fp32"
    with pytest.raises(UserError, match="2 tasks begin with 'b'"):
        Workspaces((tmp_path,)).task_name("b")


def test_of_several_the_message_names_those_alone() -> None:
    with pytest.raises(UserError) as several:
        SHIPPED.task_name("bert")
    assert str(several.value) == "2 tasks begin with 'bert': bert-tf-fp32, bert-torch-fp32"


@pytest.mark.parametrize(
    ("backends", "artifact", "taken"),
    [
        (["ACME"], None, "ACME"),
        (["ACME"], "model.engine", "ACME"),
        (["CPU"], "model.pt", "CPU"),  # which says what it reads
        (["ACME", "CPU"], "model.engine", "ACME"),
        (["ACME", "CPU"], "compiled.json", "CPU"),
        (["ACME", "CPU"], "model.pt", "ACME"),
    ],
)
def test_the_backend_that_was_left_out(
    backends: list[str], artifact: str | None, taken: str, tmp_path: Path
) -> None:
    file = tmp_path / artifact if artifact else None
    if file is not None:
        file.write_text(json.dumps({"qs_artifact": {"hardware": "CPU"}}))
    assert only_backend(workspace(tmp_path, *backends), file)[0] == taken


@pytest.mark.parametrize(
    ("backends", "artifact", "listed"),
    [
        (["ACME", "CPU"], None, "one of ACME, CPU"),
        (["ACME", "CPU"], "model.onnx", "one of ACME, CPU"),
        (["ACME", "CPU", "ZEN"], "model.engine", "one of ACME, ZEN"),
        (["ACME", "CPU"], "damaged.json", "one of ACME, CPU"),
        ([], None, "the workspaces have none"),
    ],
)
def test_with_several_the_message_lists_them(
    backends: list[str], artifact: str | None, listed: str, tmp_path: Path
) -> None:
    file = tmp_path / artifact if artifact else None
    if file is not None:
        file.write_text('{"qs_artifact": [')
    with pytest.raises(Faults) as several:
        only_backend(workspace(tmp_path, *backends), file)
    assert listed in str(several.value) and "--hardware_type is missing" in str(several.value)


def test_load_of_a_task_feeds_its_data_set_and_checks_nothing(tmp_path: Path) -> None:
    typed = ("-b", "1", "-d", "0.1s", "-o", tmp_path, "--no_history", "--json")
    ran = qs("load", "digits", *typed)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["Kind"] == "load" and result["Samples"]["kind"] == "dataset"
    assert not result.get("Accuracy") and not result.get("Numeric")
    assert (result["Task"], result["Backend"]) == (DIGITS, "CPU")
    assert "backend CPU: as no other is named (--hardware_type: " in ran.stderr
    assert result["Effective Values"]["clients"]["value"] == 1


def test_a_dry_run_of_a_task() -> None:
    ran = qs("load", "digits", "--dry_run")
    assert ran.returncode == 0 and "image FLOAT32 [1, 1, 8, 8]" in ran.stdout


def test_a_file_that_is_there_wins_over_a_task(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("no model")
    refused(qs("load", "digits", cwd=tmp_path), "digits", "no backend here reads")
    refused(qs("load", "digits", "-H", "CPU", cwd=tmp_path), "digits", "reads .onnx files")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("load", "model.onnx"), ["model.onnx", "qs load digits"]),
        (("load", "dogits"), ["no file that is there", "did you mean 'digits'"]),
        (("load", "bert"), ["bert-tf-fp32, bert-torch-fp32"]),
        (("load",), ["a task, a model file or the address of a served model", DIGITS]),
        (("run",), ["TASK is missing", "qs list tasks"]),
        (("numeric",), ["TASK is missing"]),
        (("sweep",), ["a task, a model file or the address"]),
        (("run", "digits", "--task", "minilm"), ["minilm and digits", "one thing"]),
        (("sweep", "digits", "--artifact", "x.onnx"), ["x.onnx and digits", "one thing"]),
        (("load", "digits", "--shape", "x=1,2"), ["--shape is 'x=1,2'", "with a model file"]),
        (("sweep", "digits", "--no_state"), ["--no_state", "--artifact"]),
        (("fetch", "bert"), ["bert-tf-fp32"]),
        (("check", "-H", "CPU", "-t", "bert"), ["bert-tf-fp32"]),
    ],
)
def test_names_that_lead_nowhere(arguments: tuple[str, ...], words: list[str]) -> None:
    refused(qs(*arguments), *words)


def test_gpu_is_no_misspelt_cpu() -> None:
    ran = qs("run", "digits", "-H", "GPU")
    refused(ran, "unknown hardware type 'GPU'", "known: ", "qs new-backend GPU")
    assert "did you mean" not in ran.stderr


def test_fetch_takes_a_beginning_too() -> None:
    ran = qs("fetch", "digits", "--offline")
    assert ran.returncode == 0 and f"{DIGITS}: model" in ran.stderr


@pytest.mark.parametrize("words", [("--web", "none.onnx"), ("none.onnx", "--web")])
def test_an_option_whose_value_may_be_left_out_takes_no_model_for_it(words, tmp_path: Path) -> None:
    refused(qs("load", *words, cwd=tmp_path), "FILE is 'none.onnx'")


def test_a_port_is_its_value(tmp_path: Path) -> None:
    refused(qs("load", "none.onnx", "--web", "65536", cwd=tmp_path), "--web", "65536")
    refused(qs("load", "--web", "8080", cwd=tmp_path), "TASK")


def both(folder: Path) -> Path:
    """A workspace with a backend and a task of one name, and one of each."""
    workspace(folder, "ACME", "ZETA")
    (folder / "workloads").mkdir()
    for name in ("acme-net", "other-net"):
        (folder / "workloads" / f"{name}.json").write_text("{}")
    return folder


def test_check_takes_a_task_or_a_backend_as_a_word(tmp_path: Path) -> None:
    place = both(tmp_path)
    refused(qs("check", "acme", cwd=place), "a backend and a task", "ACME or --task acme-net")
    refused(qs("check", "zeta", "--hardware_type", "ACME", cwd=place), "zeta", "one of them")
    refused(qs("check", "zetta", cwd=place), "a task or of a backend", "did you mean 'ZETA'")
    refused(qs("check", "other", "--log", "l", cwd=place), "--log is of a backend's test")
    refused(qs("check", "zeta", "--task", "none-such", cwd=place), "none-such")
