"""How fast jobs get on: a counter made of what two looks at the same job differ by."""

from collections import Counter
from collections.abc import Mapping, Sequence

from service.metrics.repository import Held


class Progress:
    """Tokens that jobs were seen to learn from.

    The sum over running jobs would not do for a rate: it falls when a job ends or is rewound, and
    Prometheus takes a counter that falls for a restart.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self._known: Mapping[str, int] = {}
        self._tokens: Counter[str] = Counter()

    def look(self, held: Sequence[Held]) -> Mapping[str, int]:
        """Return all tokens seen so far by scenario; a job's first look only says where it is."""
        for job in held:
            gained = job.tokens - self._known.get(job.job_id, job.tokens)
            self._tokens[job.scenario] += max(gained, 0)
        self._known = {job.job_id: job.tokens for job in held}
        return dict(self._tokens)
