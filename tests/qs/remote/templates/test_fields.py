"""Fields of a template: what each form makes of a batch."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote.templates.fields import filled_bytes, filled_json, filled_text
from qs.tensors.contents import content_of, named, names_files, path_in

ARRAY = np.array([[1.5, 2], [3, 0.1]], np.float32)
FEEDS = {
    "x": ARRAY,
    "one": ARRAY[:1],
    "x:0": np.array([7], np.int64),
    "text": np.array(['say "hi"\n{input:x}'], np.str_),
    "texts": np.array(["a", "b"], np.str_),
    "line": np.array(['{"k": [1, null]}'], np.str_),
    "flag": np.array([True, False]),
    "half": np.array([0.1], np.float16),
    "scalar": np.array(3, np.int32),
}
IN_JSON = [
    ("{input:x}", [[1.5, 2.0], [3.0, 0.1]]),
    ({"a": ["{input:x:flat}", 5, None]}, {"a": [[1.5, 2.0, 3.0, 0.1], 5, None]}),
    ("{input:one:item}", [1.5, 2.0]),
    ("{input:x:shape}", [2, 2]),
    ("{input:x:0}", [7]),
    ("{input:x:0:item}", 7),
    ("{input:text:text}", 'say "hi"\n{input:x}'),
    ("{input:text}", ['say "hi"\n{input:x}']),
    ("q: {input:text:text}!", 'q: say "hi"\n{input:x}!'),
    ("n={input:x:0:text}", "n=7"),
    ("s={input:x:shape}", "s=[2,2]"),
    ("v={input:one:flat}", "v=[1.5,2.0]"),
    ("{input:line:json}", {"k": [1, None]}),
    ("{input:flag}", [True, False]),
    ("{input:half:text}", "0.1"),
    ("{input:scalar}", 3),
    ("{{input:x}} {a: 1}", "{input:x} {a: 1}"),
    ({"{input:x:0:text}": 1}, {"7": 1}),
    ("{input:x:0:base64}", base64.b64encode(np.int64(7).tobytes()).decode()),
    ("{input:texts:flat}", ["a", "b"]),
    (
        {"rows": {"{each}": {"v": "{input:x}", "t": "{input:texts}", "s": "{input:scalar}"}}},
        {"rows": [{"v": [1.5, 2.0], "t": "a", "s": 3}, {"v": [3.0, 0.1], "t": "b", "s": 3}]},
    ),
]


@pytest.mark.parametrize(("value", "wanted"), IN_JSON, ids=range(len(IN_JSON)))
def test_json(value, wanted):
    assert json.loads(filled_json(value, FEEDS)) == wanted


REFUSED = [
    ("{input:x:item}", "takes one item, and the batch holds 2"),
    ("{input:texts:text}", "takes one item, and the batch holds 2"),
    ("{input:texts:base64}", "takes one item"),
    ("{input:text:json}", "is not JSON"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED)
def test_what_has_no_place_is_refused(value, words):
    with pytest.raises(UserError, match=words):
        filled_json(value, FEEDS)


def test_nan_is_refused_since_it_would_be_sent_as_null():
    with pytest.raises(UserError, match="NaN or an infinity"):
        filled_json("{input:x}", {"x": np.array([np.nan])})


def test_each_needs_as_many_items():
    feeds = {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}
    with pytest.raises(UserError, match=r"a \[2, 1\], b \[3, 1\]"):
        filled_json({"{each}": "{input:a}"}, feeds)


def test_bytes_and_texts():
    assert filled_bytes("{input:x:bytes}", FEEDS) == ARRAY.astype("<f4").tobytes()
    assert filled_bytes("{input:x:bytes}", {"x": ARRAY.astype(">f4").T}) == ARRAY.T.tobytes()
    assert filled_bytes("{input:text:bytes}", FEEDS) == b'say "hi"\n{input:x}'
    assert (np.load(io.BytesIO(filled_bytes("{input:x:npy}", FEEDS))) == ARRAY).all()
    assert filled_bytes("a {input:x:0:text}", FEEDS) == b"a 7"
    assert filled_text('{"p": "{input:x:flat}"}', FEEDS) == '{"p": "[1.5,2.0,3.0,0.1]"}'


def test_a_file_is_sent_as_it_is(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"\xff\xd8\x00ends in NUL\x00\x00")
    item = np.array([named(file)], np.str_)
    assert names_files(item)
    assert not names_files(np.array([str(file)]))
    assert path_in(str(item[0])) == file
    assert filled_bytes("{input:f:bytes}", {"f": item}) == file.read_bytes()
    coded = json.loads(filled_json("{input:f:base64}", {"f": item}))
    assert base64.b64decode(coded) == file.read_bytes()
    assert content_of(str(file)) == str(file).encode()  # a text that is a path stays a text
    file.unlink()
    with pytest.raises(UserError, match="no such file"):
        content_of(str(item[0]))
