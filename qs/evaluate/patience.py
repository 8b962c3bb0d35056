"""How long one predict may take where nobody said it: two minutes, and longer where what was
measured before lets expect that.

A fixed limit takes the largest batch of a large model on a small machine for a hang. What is
stated, by --predict_timeout or the backend's QS config, holds as it is.
"""

from __future__ import annotations

from qs.base.words import number
from qs.settings.case import Case
from qs.settings.settings import Origin, Setting

# beside what is expected: caches that no longer hold a batch, neighbours, a warm-up that allocates
FACTOR = 3.0


class Patience:
    """Learns from the cases of a run, or the trials of a sweep; one for all of them."""

    def __init__(self) -> None:
        self._seen: list[
            tuple[int, int, float]
        ] = []  # batch size, clients, longest service time in s

    def learn(self, case: Case, longest_s: float) -> None:
        """A case has ended, whose slowest query took so long from its issue on."""
        self._seen.append((case.batch_size, case.clients, longest_s))

    def timeout(self, case: Case, settled: Setting[float]) -> Setting[float]:
        """The limit of one predict in this case: `settled` where somebody chose it or it is enough,
        else a longer one, in s.

        Expected is at most linear growth in the batch size, and in the clients, which may share one
        device.
        """
        if settled.origin != Origin.DEFAULT:
            return settled
        expected_s = max((self._scaled(case, *each) for each in self._seen), default=0.0)
        if FACTOR * expected_s <= settled.value:
            return settled
        return Setting(
            FACTOR * expected_s, f"{number(FACTOR)} times what the cases before let expect"
        )

    @staticmethod
    def _scaled(case: Case, batch_size: int, clients: int, longest_s: float) -> float:
        return longest_s * max(1.0, case.batch_size / batch_size) * max(1.0, case.clients / clients)
