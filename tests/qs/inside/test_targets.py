"""The form in which predict is called: one batch, several, or fewer items than the loaded batch has
room for.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.engine import UNANSWERED, UnfinishedAnswer
from qs.engine.workers.target import is_async
from qs.inside.calling import blocking
from qs.inside.looking import Looking, NoOutput
from qs.inside.targets import check_kind, filled, rows_of, target_of


async def awaited(batch):
    await asyncio.sleep(0)
    return batch * 2


class Callable:
    async def __call__(self, batch):
        return batch


def test_what_is_a_coroutine_function():
    assert [is_async(each) for each in (awaited, Callable(), len, lambda batch: batch)] == [
        True,
        True,
        False,
        False,
    ]


def test_one_batch_and_lists_of_batches():
    assert target_of(lambda batch: batch * 2)(3) == 6
    assert target_of(lambda batch: batch * 2, lists=True)([1, 2]) == [2, 4]
    assert asyncio.run(target_of(awaited)(3)) == 6
    assert asyncio.run(target_of(awaited, lists=True)([1, 2])) == [2, 4]


def test_a_list_of_batches_is_awaited_at_once():
    async def together():
        here, all_here = set(), asyncio.Event()

        async def predict(batch):
            here.add(batch)
            if len(here) == 3:
                all_here.set()
            await all_here.wait()  # none comes through before all are there
            return batch

        return await asyncio.wait_for(target_of(predict, lists=True)([1, 2, 3]), 5)

    assert asyncio.run(together()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("items", "rows", "expected"),
    [(4, 4, [0, 1, 2, 3]), (3, 4, [0, 1, 2, 0]), (1, 4, [0, 0, 0, 0])],
)
def test_a_batch_is_filled_up_with_its_own_rows(items, rows, expected):
    full = filled({"x": np.arange(items), "y": np.ones((items * 2, 3))}, {"x": rows, "y": rows * 2})
    assert full["x"].tolist() == expected
    assert full["y"].shape == (rows * 2, 3)
    assert (
        target_of(lambda batch: len(batch["x"]), rows={"x": rows})({"x": np.arange(items)}) == rows
    )


@pytest.mark.parametrize(
    ("predict", "pool", "said"),
    [
        (len, "async", "declare it `async def predict`"),
        (awaited, "thread", "which pool 'thread' cannot drive"),
    ],
)
def test_the_wrong_kind_for_a_pool_is_refused(predict, pool, said):
    with pytest.raises(UserError, match=said):
        check_kind(SimpleNamespace(predict=predict), pool)


def test_the_right_kind_for_a_pool_is_accepted():
    for predict, pool in ((awaited, "async"), (len, "process"), (awaited, None)):
        check_kind(SimpleNamespace(predict=predict), pool)


def test_a_coroutine_function_for_callers_that_do_not_await():
    class Backend:
        name = "b"
        predict = staticmethod(awaited)

    with blocking(Backend()) as backend:
        assert (backend.predict(2), backend.predict(3), backend.name) == (4, 6, "b")


def test_answers_are_read_and_predict_is_itself_again_afterwards():
    class Backend:
        def predict(self, feeds):
            return feeds

    vendors = Backend()
    with blocking(vendors, read=str) as backend:
        assert backend is vendors and backend.predict(2) == "2"
    assert vendors.predict(2) == 2 and "predict" not in vars(vendors)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "predict returned None"),
        ({}, "an empty dict"),
        ([], "an empty list"),
        ((), "an empty tuple"),
        ({"y": None}, "a dict of None"),
        ([None, None], "a list of None"),
        (np.array(None), "an array of None"),
        ("done", "'done'"),
        (True, "True"),
    ],
)
def test_an_answer_without_outputs_is_a_fault(tmp_path, answer, said):
    with pytest.raises(NoOutput, match=said):
        Looking(str(tmp_path), 0, lists=False)(answer)
    # a later one is noted: what was measured before it is kept
    looking = Looking(str(tmp_path), 3, lists=True)
    looking([{"y": np.ones(1)}, {"y": np.ones(1)}])
    looking([{"y": np.ones(1)}, answer])
    assert said in (tmp_path / "answers-3.txt").read_text()


def test_answers_with_outputs_and_failed_calls_are_no_fault(tmp_path):
    looking = Looking(str(tmp_path), 0, lists=False)
    for answer in (
        UNANSWERED,
        {"y": np.empty((0, 4))},
        [None, np.ones(2)],
        np.zeros(0),
        [{"a": 0.5}],
        0.5,
    ):
        looking(answer)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UnfinishedAnswer, match="generator"):
        looking(each for each in ())


def test_of_coroutines_the_last_answer_is_looked_at_too(tmp_path):
    answers = iter([{"y": 1.0}, {"y": 1.0}, None])

    async def predict(batch):
        return next(answers)

    looking = Looking(str(tmp_path), 0, lists=False)
    call = target_of(predict, looking=looking)
    looking(asyncio.run(call(0)))
    for _ in range(2):
        asyncio.run(call(0))
    looking.end()
    assert (tmp_path / "answers-0.txt").read_text() == (
        "predict returned None, which holds no output"
    )


def test_a_batch_is_filled_up_along_its_own_dimension_and_what_is_shared_stays():
    copy = SimpleNamespace(batch_size=4, backend=object())
    batch = {"x": np.arange(6).reshape(3, 2, 1), "rate": np.array(16000), "table": np.ones((5, 2))}
    axes = {"x": 1, "table": None}
    rows = rows_of(batch, 2, copy, axes)
    assert rows == {"x": 4}
    full = filled(batch, rows, axes)
    assert full["x"][:, :, 0].tolist() == [[0, 1, 0, 1], [2, 3, 2, 3], [4, 5, 4, 5]]
    assert full["rate"] is batch["rate"] and full["table"] is batch["table"]
