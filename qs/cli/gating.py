"""The options of commands that hold what they measure to conditions, and the exit status that these
ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qs.cli.commands import INVALID, UNCLEAR, VALID
from qs.cli.grouping import CHECKS, option

if TYPE_CHECKING:
    from qs.result.gate import GateEntry

fail_if = option(
    CHECKS,
    "--fail_if",
    multiple=True,
    metavar="CONDITION",
    help="Exit with status 3 if this holds of any case, 4 if one cannot tell: 'p99>50ms', "
    "'items/s<200', 'errors>0', 'accuracy<0.97'; of a language model 'ttft.p99>200ms', "
    "'output_tokens/s<500'; of one case: 'bs8.p99>50ms'. Repeatable, or separated by commas.",
)
allow_unclear = option(
    CHECKS,
    "--allow_unclear",
    is_flag=True,
    help="A condition of --fail_if that cannot be told passes.",
)


def options(command: Any) -> Any:
    """Both, in this order."""
    return fail_if(allow_unclear(command))


def gated(gates: Sequence[GateEntry], allow_unclear: bool) -> int:
    """The exit status that conditions ask for."""
    from qs.result.gate import GateOutcome, overall

    outcome = overall(gates)
    if outcome is GateOutcome.HOLDS:
        return INVALID
    return UNCLEAR if outcome is GateOutcome.UNCLEAR and not allow_unclear else VALID
