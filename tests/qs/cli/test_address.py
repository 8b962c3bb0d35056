"""Addresses of served models as they are typed, and the options that go with them: refused before
anything is asked or started.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import qs as api
from qs.base.errors import UserError
from qs.cli import load, remote, run, sweep
from qs.cli.naming import settled
from qs.cli.requests import request_of
from qs.cli.retyped import retyped
from tests.qs.program import qs, refused
from tests.qs.sweep.test_recommended_command import context

URL = "kserve+http://127.0.0.1:9/digits"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("http://127.0.0.1:9/m.onnx",), ["--template", "did you mean 'kserve+http'", "download"]),
        (("https://h/m",), ["URL is 'https://h/m'", "tfserving+http[s]://", "'kserve+https'"]),
        (("kserv+http://h/m",), ["a scheme of kserve+http,", "did you mean 'kserve+http'"]),
        (("triton://h/m",), ["did you mean 'kserve+http'"]),
        (("s3://bucket/m.onnx",), ["a scheme of"]),
        (("kserve+http://h:99999/m",), ["127.0.0.1:8000"]),
        (("kserve+http://u:hidden@h/m",), ["--header"]),
        (("kserve+http://h/m?x=1",), ["'?'"]),
        ((URL, "-H", "CPU"), ["--hardware_type is 'CPU'", "KSERVE, which speaks kserve+http"]),
        ((URL, "-H", "CPU,OPENVINO"), ["KSERVE", "qs compare"]),
        ((URL, "--offline"), ["--offline"]),
        ((URL, "--template", "setup.py"), ["--template"]),
        ((URL, "--ca", "setup.py"), ["--ca", "kserve+https://"]),
        ((URL, "--ca", "none.pem"), ["--ca is 'none.pem'; allowed: a file that is there"]),
        ((URL, "--sequences", "many"), ["--sequences", "8x20@1000"]),
        ((URL, "--client", "fast"), ["--client", "lean, blocking, grpcio"]),
        ((URL, "--client", "grpcio"), ["lean or blocking, over HTTP"]),
        ((URL, "--header", "hidden"), ["--header", "Authorization: @env:TOKEN"]),
        ((URL, "--header", "A: @env:NO_SUCH_VARIABLE"), ["--header A", "a variable that is set"]),
        ((URL, "--header", "A: @file:no such file"), ["--header A", "a file that is there"]),
        ((URL, "--header", "A: hidden", "--header", "a=hidden"), ["--header A", "given 2 times"]),
        ((URL, "--client", "blocking", "--pool", "async"), ["--pool is 'async'", "blocks"]),
        ((URL, "--parameter", "p=1", "--parameter", "p=2"), ["--parameter p", "given 2 times"]),
        (("digits", "--connections", "4"), ["--connections", "the backend CPU asks no server"]),
        (("digits", URL), ["one word too many"]),
    ],
)
def test_one_message(arguments: tuple[str, ...], words: list[str]) -> None:
    ran = qs("load", *arguments)
    refused(ran, *words)
    assert "hidden" not in ran.stderr


def test_a_default_backend_is_not_the_one_that_speaks_to_a_server() -> None:
    """It was said for files; what is typed with an address is refused."""
    ran = qs("load", URL, "--offline", QS_HARDWARE_TYPE="CPU,OPENVINO")
    refused(ran, "--offline")
    assert "hardware_type" not in ran.stderr


def test_a_misspelt_header_of_a_project_keeps_its_secret(tmp_path: Path) -> None:
    (tmp_path / "qs.cfg").write_text("[qs]\nheadr = A: hidden\n")
    ran = qs("load", URL, "--offline", cwd=tmp_path)
    refused(ran, "[qs] headr", "did you mean 'header'")
    assert "hidden" not in ran.stderr


def asked(*words: str) -> dict[str, object]:
    options = dict(context(load.command, words).params)
    for name in ("dry_run", "as_json", "quiet", "rounds"):
        options.pop(name)
    request = request_of(settled({"task": "", "artifact": None, **options}))
    return dict(request.remote)


def test_what_was_typed_reaches_the_backend(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENANT", "blue")
    Path("token").write_text("t")
    words = [URL, "--header", "X-Tenant: @env:TENANT", "--header", "T=@file:token", "--binary"]
    words += ["never", "--connections", "8", "--compression", "none", "--sequences", "8x20@1000"]
    words += ["--connect_timeout", "500ms", "--connection_order", "first", "--metric", "a"]
    words += ["--metric", "b", "--parameter", "priority=1", "--ready_timeout", "5"]
    assert asked(*words) == {
        "url": URL,
        "headers": {"X-Tenant": "@env:TENANT", "T": f"@file:{tmp_path / 'token'}"},
        "binary": "never",
        "connections": 8,
        "compression": "",
        "sequences": "8x20@1000",
        "connect_timeout_s": 0.5,
        "order": "first",
        "metrics": ["a", "b"],
        "parameters": {"priority": "1"},
        "ready_timeout_s": 5.0,
    }


def test_a_secret_is_handed_on_in_a_variable(monkeypatch) -> None:
    monkeypatch.delenv("QS_SECRET_X_KEY", raising=False)
    found = asked(URL, "--header", "X-Key: hidden")
    assert found["headers"] == {"X-Key": "@env:QS_SECRET_X_KEY"}
    assert os.environ.pop("QS_SECRET_X_KEY") == "hidden"


def test_a_recommended_command_hides_it_too() -> None:
    given = context(sweep.command, ["--artifact", URL, "--header", "A: hidden", "--binary", "auto"])
    assert retyped(given, load.command, ()) == ("--header", "A: ****", "--binary", "auto")
    assert given.params["artifact"] == URL


def test_every_flag_is_an_option_of_the_commands_that_measure() -> None:
    for command, without in ((load.command, {"url"}), (run.command, set()), (sweep.command, set())):
        options = {each.name: each for each in command.params}
        for name in remote.FLAGS.keys() - without:
            assert remote.FLAGS[name] in options[name].opts


def test_from_python() -> None:
    model = api.load(URL, header={"A": "hidden", "B": "@env:B"}, connections=4, metric=["a", "b"])
    assert repr(model).startswith(
        f"qs.load({URL!r}, header=['A: ****', 'B: @env:B'], connections=4"
    )
    with pytest.raises(UserError, match="connection: is no option of qs load; did you mean"):
        api.load(URL, connection=4)
    with pytest.raises(UserError, match="--binary"):
        api.load(URL, binary="perhaps")


def test_an_address_is_given_once() -> None:
    refused(qs("sweep", URL, "--url", URL), f"--url is '{URL}'; allowed: given with a task")
    refused(qs("sweep", "setup.py", "--url", URL), "--url", "given with a task")
