"""How many malformed records of a source may be left out, and which were."""

from dataclasses import dataclass, field

from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.errors import DatasetMalformedError

_NAMED = 10


@dataclass(slots=True)
class SkipBudget:
    """Counts what is left out; the record after the last allowed one is an error."""

    source: SourceSpec
    count: int = 0
    first: list[str] = field(default_factory=list)
    """What was wrong with the first ones."""

    def spend(self, error: DatasetMalformedError) -> None:
        """Leave a record out.

        Raises:
            DatasetMalformedError: no more may be left out.
        """
        allowed = self.source.skip_malformed
        if self.count >= allowed:
            if allowed:
                error.hint += f"; or raise skip_malformed, of which all {allowed} are used up"
            raise error
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(error.message)
