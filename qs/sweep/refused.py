"""A server that no longer lets us in, as a key that expires in the midst of a sweep: that is no
limit of its, and no trial of it is kept, so that --resume goes on from those before.
"""

from __future__ import annotations

from qs.base.errors import UserError
from qs.base.words import counted
from qs.remote.waiting import KEY, REFUSALS
from qs.result.row import Row

FIRST = "the first fault: "
# One request in so many, of a trial that was not ended for its failures.
MANY = 10


def check_let_in(row: Row, load: str, cut: bool = False) -> None:
    """Raises UserError if the requests of a trial of an endpoint were refused for who asks. `load`
    is the trial's, and `cut` whether it was ended for its failures.
    """
    refused = {kind: row.errors_by_kind.get(kind, 0) for kind in REFUSALS}
    count, failed = sum(refused.values()), row.errors or 0
    if 2 * count <= failed or not (cut or MANY * count > failed + (row.completed or 0)):
        return
    kind = max(refused, key=lambda each: refused[each])
    said = next((each[len(FIRST) :] for each in row.reasons if each.startswith(FIRST)), "")
    raise UserError(
        f"the sweep ended at {load}, where {counted(count, 'request')} were refused "
        f"({said if said.startswith(kind) else kind}); {KEY}; "
        "--resume goes on from the trials before"
    )
