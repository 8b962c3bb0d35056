"""All checks, in the order in which they are made: at which batch sizes each looks, and by what it
is judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qs.base.errors import UserError
from qs.config.qs_config import parse_qs_config
from qs.conformance import answers, compiling, contract, measuring, names, resources, threads
from qs.conformance.bench import Bench
from qs.conformance.outcome import FAIL, Outcome, failed, skipped
from qs.evaluate.backend import BackendFailed
from qs.evaluate.obtaining import configs_for

AGREEMENT_ITEMS = 16


@dataclass(frozen=True)
class Check:
    name: str
    about: str
    run: Callable[[Bench], Awaitable[Outcome]]
    # names of earlier checks without which this one has nothing to look at
    needs: tuple[str, ...] = ()
    # whether it looks at the backend in its process, rather than at its files
    in_host: bool = True


async def _naming(bench: Bench) -> Outcome:
    return names.judge(bench.folder)


async def _contract(bench: Bench) -> Outcome:
    return contract.judge_classes(
        await bench.backend.observe(contract.observe_classes, "looking at the classes")
    )


async def _profile(bench: Bench) -> Outcome:
    configs = configs_for(bench.prepared, bench.resolved)
    raw = await bench.backend.interact_profile(configs)
    return compiling.judge_profile(raw, bench.folder / f"{bench.folder.name}.json")


async def _compile(bench: Bench) -> Outcome:
    compiled = await bench.compile()
    return compiling.judge_compile(compiled.raw, compiled.configs["workload"]["batch_sizes"])


async def _qs_config(bench: Bench) -> Outcome:
    """The runner and the batch sizes that a good config names are those of all further checks."""
    seen = await bench.backend.stated_qs_mode()
    bench.supports_qs = seen["supported"]
    outcome = measuring.judge_qs_config(seen)
    if outcome.status == FAIL or not seen["supported"]:
        return outcome
    try:
        await bench.drive(parse_qs_config(seen["config"] or {}, measuring.ORIGIN))
    except UserError as error:
        fix = f"correct what it names in {measuring.ORIGIN}"
        return failed(" ".join(str(error).split()), fix, blocks=False)
    return outcome


async def _load(bench: Bench) -> Outcome:
    return contract.judge_load(
        {
            size: await bench.backend.observe(
                contract.observe_load, f"load({size})", batch_size=size
            )
            for size in bench.batch_sizes
        }
    )


async def _predict(bench: Bench) -> Outcome:
    return answers.judge_predict(await bench.predicted())


async def _outputs(bench: Bench) -> Outcome:
    seen = list((await bench.predicted()).values())
    reference = await bench.reference()
    shapes = None if reference.path is None else reference.shapes
    return answers.judge_outputs(seen, bench.output_names, shapes)


async def _determinism(bench: Bench) -> Outcome:
    seen = {
        size: await bench.backend.observe(
            answers.observe_determinism, f"predict at batch size {size}", batch_size=size
        )
        for size in bench.outer_batch_sizes
    }
    return answers.judge_determinism(seen, bench.tolerance)


async def _arrays(bench: Bench) -> Outcome:
    size = bench.batch_sizes[0]
    what = f"predict at batch size {size}"
    return answers.judge_arrays(
        await bench.backend.observe(answers.observe_arrays, what, batch_size=size)
    )


async def _independence(bench: Bench) -> Outcome:
    size = next((size for size in bench.batch_sizes if size > 1), bench.batch_sizes[-1])
    what = f"predict at batch size {size}"
    seen = await bench.backend.observe(answers.observe_independence, what, batch_size=size)
    return answers.judge_independence(seen, bench.tolerance)


async def _agreement(bench: Bench) -> Outcome:
    reference = await bench.reference()
    if reference.path is None:
        return skipped(f"there is no reference to compare with: {reference.why}")
    found = {
        size: await bench.backend.numeric(reference.path, size, AGREEMENT_ITEMS)
        for size in bench.outer_batch_sizes
    }
    return answers.judge_agreement(found, bench.precision)


async def _threads(bench: Bench) -> Outcome:
    size, allowed = bench.batch_sizes[0], bench.tolerance
    what = f"concurrent predict at batch size {size}"
    seen = await bench.backend.observe(threads.observe, what, batch_size=size, allowed=allowed)
    return threads.judge(seen, allowed, bench.pool)


async def _benchmark(bench: Bench) -> Outcome:
    if bench.supports_qs:
        return skipped("QS mode is supported: benchmark() is never called")
    size = bench.batch_sizes[0]
    loaded = (await bench.backend.load(size)).batch_size
    try:
        answer = await bench.backend.benchmark(size)
    except BackendFailed as failure:
        if not failure.not_written:
            raise
        return measuring.no_benchmark()
    workload = bench.prepared.workload
    return measuring.judge_benchmark(answer, loaded, workload.clients, workload.iterations)


async def _leaks(bench: Bench) -> Outcome:
    size, allowed = bench.batch_sizes[0], resources.allowed_growth(bench.model_bytes)
    seen = await bench.backend.observe(
        resources.observe_leaks, f"repeated load({size})", batch_size=size, allowed_bytes=allowed
    )
    return resources.judge_leaks(seen, allowed)


async def _prints(bench: Bench) -> Outcome:
    size = bench.batch_sizes[0]
    # Loading prints too, so it comes before the count.
    await bench.backend.load(size)
    begin = bench.log_bytes()
    what = f"predict at batch size {size}"
    await bench.backend.observe(resources.observe_prints, what, batch_size=size)
    return resources.judge_prints(begin, bench.log_bytes())


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
    Check("prints", "what predict prints, which goes to the log", _prints, needs=("predict",)),
)
