"""That a load was shared by several machines, or by others, is seen wherever results meet."""

from __future__ import annotations

import io

from qs.comparison.unlike import unlike
from qs.history import record
from qs.history.entries import entries
from qs.history.showing import print_entries
from qs.render.html.index_page import reports_page
from qs.result.keys import key_of, title_of
from tests.qs.result.made import small
from tests.qs.result.made_nodes import node, row, spread


def differing(a, b):
    return {each.what: (each.a, each.b) for each in unlike(a, b) if not each.refused}


def test_their_number_and_their_machines_are_named():
    two, three, alone = spread(2), spread(3), small([{"QPS": 1.0}])
    assert differing(two, three)["nodes"] == (2, 3)
    assert differing(alone, two)["nodes"] == (None, 2)
    assert differing(two, spread(2)) == {}
    other = node(1)
    other["facts"] = other["facts"] | {"cpu_model": "Xeon"}
    found = differing(two, small([row([node(0), other])], Kind="load"))
    assert found["processors of the nodes"] == ("EPYC 7763 x 2", "EPYC 7763 x 1, Xeon x 1")


def test_a_case_of_three_nodes_is_no_case_of_one():
    (three,), (alone,) = spread(3).performance, small([{"Node Count": 1}]).performance
    assert ("Node Count", "3") in key_of(three) and "3 nodes" in title_of(three)
    assert "Node Count" not in dict(key_of(alone)) and "node" not in title_of(alone)


def test_lists_of_results_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    place = tmp_path / "ACME" / "bert"
    place.mkdir(parents=True)
    (place / "result-fp32.json").write_text(spread(3).model_dump_json(by_alias=True))
    page, unread = reports_page(tmp_path)
    assert not unread and "load, 3 nodes" in page.decode()
    record(spread(3), None)
    listed = io.StringIO()
    print_entries(entries(), listed)
    assert "ACME, 3 nodes" in " ".join(listed.getvalue().split())
