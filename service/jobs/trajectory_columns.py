"""The quantities of a point: as columns of a table, as lists, as one object per point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from service.jobs.models import Job
from service.jobs.repository.trajectory import PointRow
from service.jobs.views import domain_names, target_names
from tandem_engine.contracts.records import TrajectoryPoint

FIELDS = [name for name in TrajectoryPoint.model_fields if name != "type"]
PER_DOMAIN = (
    *("alpha", "answer", "tried", "delta", "train_loss", "validation_loss", "gap", "epochs"),
)
PER_TARGET = "target_loss"
SCALARS = [name for name in FIELDS if name not in {*PER_DOMAIN, PER_TARGET}]
_STORED = frozenset(PointRow._fields) - {"extra", "seq"}


@dataclass(frozen=True)
class Layout:
    """The names that the lists of a job's points follow."""

    domains: tuple[str, ...]
    targets: tuple[str, ...]

    @classmethod
    def of(cls, job: Job) -> Self:
        """Take them from the job's specification."""
        return cls(tuple(domain_names(job)), tuple(target_names(job)))

    @property
    def lists(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every quantity that is a list, with its names."""
        return [*((field, self.domains) for field in PER_DOMAIN), (PER_TARGET, self.targets)]

    @property
    def header(self) -> list[str]:
        """The columns of a table: `step`, `alpha:<domain>` and so on."""
        named = (f"{field}:{name}" for field, names in self.lists for name in names)
        return [*SCALARS, *named]


def column(points: Sequence[PointRow], name: str) -> list[Any]:
    """Return one quantity of all points."""
    if name in _STORED:
        return [getattr(point, name) for point in points]
    return [point.extra.get(name) for point in points]


def table(points: Sequence[PointRow], layout: Layout) -> list[list[Any]]:
    """Return the columns of `layout.header`; None is unknown."""
    columns = [column(points, name) for name in SCALARS]
    for field, names in layout.lists:
        # Points of an older release lack what is newer than they.
        lists = [value or None for value in column(points, field)]
        columns += [
            [None if value is None else value[place] for value in lists]
            for place in range(len(names))
        ]
    return columns


def as_objects(points: Sequence[PointRow], layout: Layout) -> list[dict[str, Any]]:
    """Return one object per point, whose lists are objects by name."""
    names = dict(layout.lists)
    columns = []
    for field in FIELDS:
        values = column(points, field)
        if field in names:
            named = names[field]
            values = [dict(zip(named, value, strict=True)) if value else None for value in values]
        columns.append(values)
    return [dict(zip(FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]
