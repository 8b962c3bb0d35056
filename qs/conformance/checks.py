"""All checks, in the order in which they are made: at which batch sizes each looks, and by what it
is judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qs.base.errors import UserError
from qs.config.qs_config import parse_qs_config
from qs.conformance import (
    answers,
    compiling,
    contract,
    measuring,
    names,
    resources,
    stating,
    threads,
)
from qs.conformance.outcome import FAIL, Outcome, failed, skipped
from qs.conformance.subject import Subject
from qs.contract.model_formats import formats_read_by
from qs.evaluate.failures import BackendFailed
from qs.evaluate.obtaining import configs_for
from qs.models.formats import misspelled

AGREEMENT_ITEMS = 16


@dataclass(frozen=True)
class Check:
    name: str
    about: str
    run: Callable[[Subject], Awaitable[Outcome]]
    # names of earlier checks without which this one has nothing to look at
    needs: tuple[str, ...] = ()
    # whether it looks at the backend in its process, rather than at its files
    in_host: bool = True


async def _naming(subject: Subject) -> Outcome:
    return names.judge(subject.folder)


async def _contract(subject: Subject) -> Outcome:
    return contract.judge_classes(
        await subject.backend.observe(contract.observe_classes, "looking at the classes"),
        formats_read_by(subject.folder),
        misspelled,
    )


async def _profile(subject: Subject) -> Outcome:
    configs = configs_for(subject.prepared, subject.resolved)
    raw = await subject.backend.interact_profile(configs)
    return compiling.judge_profile(raw, subject.folder / f"{subject.folder.name}.json")


async def _compile(subject: Subject) -> Outcome:
    compiled = await subject.compile()
    return compiling.judge_compile(compiled.raw, compiled.configs["workload"]["batch_sizes"])


async def _qs_config(subject: Subject) -> Outcome:
    """The runner and the batch sizes that a good config names are those of all further checks."""
    seen = await subject.backend.stated_qs_mode()
    subject.supports_qs = seen["supported"]
    outcome = measuring.judge_qs_config(seen)
    if outcome.status == FAIL or not seen["supported"]:
        return outcome
    try:
        await subject.drive(parse_qs_config(seen["config"] or {}, measuring.ORIGIN))
    except UserError as error:
        fix = f"correct what it names in {measuring.ORIGIN}"
        return failed(" ".join(str(error).split()), fix, blocks=False)
    return outcome


async def _load(subject: Subject) -> Outcome:
    return contract.judge_load(
        {
            size: await subject.backend.observe(
                contract.observe_load, f"load({size})", batch_size=size
            )
            for size in subject.batch_sizes
        }
    )


async def _predict(subject: Subject) -> Outcome:
    return answers.judge_predict(await subject.predicted())


async def _outputs(subject: Subject) -> Outcome:
    seen = list((await subject.predicted()).values())
    reference = await subject.reference()
    shapes = None if reference.path is None else reference.shapes
    return answers.judge_outputs(seen, subject.output_names, shapes)


async def _determinism(subject: Subject) -> Outcome:
    seen = {
        size: await subject.backend.observe(
            answers.observe_determinism, f"predict at batch size {size}", batch_size=size
        )
        for size in subject.outer_batch_sizes
    }
    return answers.judge_determinism(seen, subject.tolerance)


async def _arrays(subject: Subject) -> Outcome:
    size = subject.batch_sizes[0]
    what = f"predict at batch size {size}"
    return answers.judge_arrays(
        await subject.backend.observe(answers.observe_arrays, what, batch_size=size)
    )


async def _independence(subject: Subject) -> Outcome:
    size = next((size for size in subject.batch_sizes if size > 1), subject.batch_sizes[-1])
    what = f"predict at batch size {size}"
    seen = await subject.backend.observe(answers.observe_independence, what, batch_size=size)
    return answers.judge_independence(seen, subject.tolerance)


async def _agreement(subject: Subject) -> Outcome:
    reference = await subject.reference()
    if reference.path is None:
        return skipped(f"there is no reference to compare with: {reference.why}")
    found = {
        size: await subject.backend.numeric(reference.path, size, AGREEMENT_ITEMS)
        for size in subject.outer_batch_sizes
    }
    return answers.judge_agreement(found, subject.precision)


async def _threads(subject: Subject) -> Outcome:
    size, allowed = subject.batch_sizes[0], subject.tolerance
    what = f"concurrent predict at batch size {size}"
    seen = await subject.backend.observe(threads.observe, what, batch_size=size, allowed=allowed)
    return threads.judge(seen, allowed, subject.pool)


async def _benchmark(subject: Subject) -> Outcome:
    if subject.supports_qs:
        return skipped("QS mode is supported: benchmark() is never called")
    size = subject.batch_sizes[0]
    loaded = (await subject.backend.load(size)).batch_size
    try:
        answer = await subject.backend.benchmark(size)
    except BackendFailed as failure:
        if not failure.not_written:
            raise
        return measuring.no_benchmark()
    workload = subject.prepared.workload
    return measuring.judge_benchmark(answer, loaded, workload.clients, workload.iterations)


async def _leaks(subject: Subject) -> Outcome:
    size, allowed = subject.batch_sizes[0], resources.allowed_growth(subject.model_bytes)
    seen = await subject.backend.observe(
        resources.observe_leaks, f"repeated load({size})", batch_size=size, allowed_bytes=allowed
    )
    return resources.judge_leaks(seen, allowed)


async def _prints(subject: Subject) -> Outcome:
    size = subject.batch_sizes[0]
    # Loading prints too, so it comes before the count.
    await subject.backend.load(size)
    begin = subject.log_bytes()
    what = f"predict at batch size {size}"
    await subject.backend.observe(resources.observe_prints, what, batch_size=size)
    return resources.judge_prints(begin, subject.log_bytes())


async def _telemetry(subject: Subject) -> Outcome:
    size = subject.batch_sizes[0]
    what = f"telemetry() beside predict at batch size {size}"
    return stating.judge_telemetry(
        await subject.backend.observe(stating.observe_telemetry, what, batch_size=size)
    )


CHECKS = (
    Check(
        "naming",
        "the folder, its files and classes are named as they are looked for",
        _naming,
        in_host=False,
    ),
    Check(
        "contract",
        "both classes have the methods that are called, with the arguments that are given",
        _contract,
    ),
    Check(
        "profile",
        "the questions of the interact profile can be asked and have defaults",
        _profile,
        needs=("contract",),
    ),
    Check(
        "compile",
        "compile gives a result whose keys have the published names and types",
        _compile,
        needs=("contract",),
    ),
    Check(
        "qs_config",
        "generate_qs_config gives a config that the engine can drive",
        _qs_config,
        needs=("compile",),
    ),
    Check("load", "every batch size loads", _load, needs=("compile",)),
    Check("predict", "predict answers at every batch size", _predict, needs=("load",)),
    Check(
        "outputs",
        "outputs have the model's names, and a row for every item of the batch",
        _outputs,
        needs=("predict",),
    ),
    Check("determinism", "the same feed gives the same answer", _determinism, needs=("predict",)),
    Check(
        "arrays",
        "predict leaves its feeds alone, and its answers stay as they are",
        _arrays,
        needs=("predict",),
    ),
    Check(
        "independence",
        "an item's answer does not depend on the rest of its batch",
        _independence,
        needs=("determinism", "outputs"),
    ),
    Check("agreement", "answers agree with the reference", _agreement, needs=("predict",)),
    Check("threads", "concurrent answers equal serial ones", _threads, needs=("determinism",)),
    Check(
        "benchmark",
        "without QS mode, benchmark gives queries per second and latencies",
        _benchmark,
        needs=("predict", "qs_config"),
    ),
    Check(
        "leaks",
        "loading again and again keeps neither memory nor files nor threads",
        _leaks,
        needs=("predict",),
    ),
    Check(
        "telemetry",
        "what telemetry() states can be read, and costs little",
        _telemetry,
        needs=("predict",),
    ),
    Check("prints", "what predict prints, which goes to the log", _prints, needs=("predict",)),
)
