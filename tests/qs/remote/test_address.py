"""Addresses of served models: what they name, what is refused and how it is put."""

from __future__ import annotations

import pytest

from qs.base.errors import Faults
from qs.remote.address import SCHEMES, backend_of, is_address, parse, schemes_of

# text, (host, port, path, model, version), as shown
READ = [
    ("kserve+http://h:8000/M", ("h", 8000, "", "M", ""), "kserve+http://h:8000/M"),
    ("kserve+http://h/M/versions/3", ("h", 80, "", "M", "3"), "kserve+http://h/M/versions/3"),
    ("KSERVE+HTTPS://H/M", ("h", 443, "", "M", ""), "kserve+https://h/M"),
    ("kserve+grpc://[::1]:8001/M", ("::1", 8001, "", "M", ""), "kserve+grpc://[::1]:8001/M"),
    ("kserve+grpcs://h/M/", ("h", 443, "", "M", ""), "kserve+grpcs://h/M"),
    ("kserve+http://h:1/v2/models/M/infer", ("h", 1, "", "M", ""), "kserve+http://h:1/M"),
    (
        "kserve+http://h/seldon/ns/v2/models/M/versions/2/infer",
        ("h", 80, "/seldon/ns", "M", "2"),
        "kserve+http://h/seldon/ns/v2/models/M/versions/2",
    ),
    ("kserve+http://h/a%2Fb%20c%C3%BC", ("h", 80, "", "a/b cü", ""), "kserve+http://h/a%2Fb%20c%C3%BC"),
    ("kserve+http://bücher.test/M", ("xn--bcher-kva.test", 80, "", "M", ""), "kserve+http://xn--bcher-kva.test/M"),
    ("http://h/ä/%41", ("h", 80, "/%C3%A4/%41", "", ""), "http://h/%C3%A4/%41"),
    ("kserve+http://h/infer", ("h", 80, "", "infer", ""), "kserve+http://h/infer"),
    ("kserve+http://h", ("h", 80, "", "", ""), "kserve+http://h"),
    ("kserve+http://h/v2/", ("h", 80, "", "", ""), "kserve+http://h"),
    ("torchserve+http://h:8080/M", ("h", 8080, "", "M", ""), "torchserve+http://h:8080/M"),
    ("openai+http://h:8080", ("h", 8080, "/v1", "", ""), "openai+http://h:8080/v1"),
    ("openai+https://h/", ("h", 443, "/v1", "", ""), "openai+https://h/v1"),
    ("openai+http://h/api/v2/", ("h", 80, "/api/v2", "", ""), "openai+http://h/api/v2"),
    ("openai+http://h/v1/chat/completions", ("h", 80, "/v1", "", ""), "openai+http://h/v1"),
    ("openai+https://h/v1?v=s3cret", ("h", 443, "/v1", "", ""), "openai+https://h/v1?****"),
    ("https://h/a/b/?k=s3cret", ("h", 443, "/a/b/", "", ""), "https://h/a/b/?****"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts", "shown"), READ, ids=[each[0] for each in READ])
def test_what_an_address_names(text, parts, shown):
    address = parse(text)
    found = (address.host, address.port, address.path, address.model, address.version)
    assert (found, address.shown) == (parts, shown)
    assert address.tls == text.lower().partition("://")[0].endswith("s")
    assert address.backend == backend_of(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an address such as kserve+http://127.0.0.1:8000/MODEL"),
        ("model.onnx", "an address such as"),
        ("kserve+http://h/a%0Ab", "on one line"),
        ("kserve+http://h/a/versions/%1b", "on one line"),
        ("kserve+htp://h/M", "did you mean 'kserve+http'?"),
        ("triton://h/M", "did you mean 'kserve+http'?"),
        ("vllm://h", "did you mean 'openai+http'?"),
        ("openai://h/v1", "did you mean 'openai+http'?"),
        ("openai+http://", "openai+http://HOST:PORT[/PREFIX]"),
        ("openai+http://sk:s3cret@h/v1", "--header"),
        ("grpc://h/M", "did you mean 'kserve+grpc'?"),
        ("kserve+http://", "kserve+http://HOST:PORT/MODEL"),
        ("kserve+http://:8000/M", "HOST:PORT"),
        ("kserve+http://h:0/M", "from 1 to 65535"),
        ("kserve+http://h:70000/M", "host and port"),
        ("kserve+http://h:port/M", "host and port"),
        ("kserve+http://[::1/M", "host and port"),
        ("kserve+http://h/a b", "%20 is a blank"),
        ("kserve+http://h/a\nb", "%20 is a blank"),
        ("kserve+http://h/a%FF", "a name in UTF-8"),
        ("kserve+http://h/a\ud800", "%20 is a blank"),
        ("kserve+http://a..b\u0444/M", "host and port"),
        ("kserve+http://user:s3cret@h/M", "--header"),
        ("kserve+http://h/M#x", "%23"),
        ("kserve+http://h/M?token=s3cret", "nothing after a '?'"),
        ("kserve+http://h/a/b", "%2F is a slash in a name"),
        ("kserve+http://h/M/versions/", "%2F is a slash in a name"),
        ("kserve+http://h/M/versions/1/2", "%2F is a slash in a name"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(Faults) as refused:
        parse(text)
    assert words in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_model_is_named_once():
    assert parse("kserve+http://h", "M", "2").model_path == "M/versions/2"
    assert parse("kserve+http://h/M", "M").model == "M"
    with pytest.raises(Faults, match="'M', which the address names"):
        parse("kserve+http://h/M", "N")
    with pytest.raises(Faults, match="'1', which the address names"):
        parse("kserve+http://h/M/versions/1", "M", "2")


def test_the_model_of_a_prefix_stands_beside_it():
    address = parse("openai+http://h/v1", "meta/Llama 3")
    assert (address.model, address.path) == ("meta/Llama 3", "/v1")
    assert address.shown == "openai+http://h/v1"


@pytest.mark.parametrize("name", SCHEMES)
def test_each_scheme_is_one_backends(name):
    assert is_address(f"{name}://h/x")
    assert name in schemes_of(SCHEMES[name].backend)
    assert SCHEMES[name].tls == name.endswith("s")
    assert parse(f"{name}://h/x").port == (443 if name.endswith("s") else 80)


def test_files_are_no_addresses():
    assert not any(map(is_address, ["model.onnx", "./a://b", "C:\\m.onnx", "", None, 3]))
