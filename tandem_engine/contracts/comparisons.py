"""A comparison: several ways to learn a mixture on the same data, each cell of it a job."""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from tandem_engine.contracts.base import Contract, Count
from tandem_engine.contracts.methods.online import TandemMethod
from tandem_engine.contracts.methods.registry import AnyMethod
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.presets import resolve

ENTRY_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ,.=_+-]{0,63}$"
PARTS = ("learning", "training", "model")


class EntrySpec(Contract):
    """One column of a comparison: a method, and what else is different from the base."""

    name: Annotated[str, Field(pattern=ENTRY_NAME)] | None = Field(
        default=None,
        description="Name in tables and figures; null is the method's kind.",
        examples=["tandem, K 20"],
    )
    method: AnyMethod = Field(
        default=TandemMethod(), description="Method and its settings.", examples=[{"kind": "doge"}]
    )
    learning: dict[str, Any] = Field(
        default={},
        description="Fields of `learning` that differ from the base's.",
        examples=[{"probing_steps": 20, "free_steps": 10}],
    )
    training: dict[str, Any] = Field(
        default={}, description="The same of `training`.", examples=[{"batch_size": 16}]
    )
    model: dict[str, Any] = Field(
        default={}, description="The same of `model`.", examples=[{"layers": 4}]
    )

    @model_validator(mode="before")
    @classmethod
    def _a_kind_alone_is_enough(cls, data: Any) -> Any:
        return {"method": {"kind": data}} if isinstance(data, str) else data

    @property
    def title(self) -> str:
        """Name in tables and figures."""
        return self.name or self.method.kind


class ComparisonSpec(Contract):
    """What to compare."""

    base: JobSpec = Field(
        description="Data, model, budget of stage two and all else that the entries share. Of "
        "`evaluation` the free rules and `seeds` have no use here: rules are entries.",
        examples=[
            {
                "domains": [
                    {"name": "code", "uris": ["file:///data/code.jsonl"]},
                    {"name": "manuals", "uris": ["file:///data/manuals.jsonl"]},
                ]
            }
        ],
    )
    entries: list[EntrySpec] = Field(
        min_length=2,
        max_length=32,
        description="What is compared. The kind of a method alone stands for an entry of it.",
        examples=[["tandem", "uniform", {"method": {"kind": "doremi"}}]],
    )
    seeds: Annotated[int, Field(ge=1, le=32)] = Field(
        default=3,
        description="Times that each entry learns and trains; seed j of all entries starts from "
        "the same weights, and all test on the same text.",
        examples=[3],
    )
    equal_compute: bool = Field(
        default=True,
        description="Give every method as many steps as `learning_budget` pays for; false leaves "
        "`learning.total_steps` as it is.",
        examples=[True],
    )
    learning_budget: Count | None = Field(
        default=None,
        description="Compute of learning per cell, in steps of plain training; null is what "
        "TANDEM takes for the base's `learning.total_steps`.",
        examples=[1900],
    )

    @field_validator("entries")
    @classmethod
    def _have_different_names(cls, entries: list[EntrySpec]) -> list[EntrySpec]:
        titles = [entry.title for entry in entries]
        for title in titles:
            if titles.count(title) > 1:
                msg = f"two entries are called {title!r}; give one of them another name"
                raise ValueError(msg)
        return entries

    @model_validator(mode="after")
    def _tests_what_it_learns(self) -> Self:
        if not self.base.evaluation.enabled:
            raise ValueError("base.evaluation.enabled is false: a comparison needs stage two")
        return self


class Cell(Contract):
    """One entry with one seed, and the job that fills it."""

    entry: str
    seed: int
    spec: JobSpec = Field(description="resolved")


def cells(comparison: ComparisonSpec) -> list[Cell]:
    """Return the cells, seed by seed, so that a comparison cut short has all entries.

    Raises:
        InvalidSpecError: an entry does not fit the base, or its method cannot learn on the budget.
    """
    entries = [(entry.title, _spec(comparison, entry)) for entry in comparison.entries]
    root = comparison.base.seed
    return [
        Cell(entry=title, seed=seed, spec=spec.evolve(seed=root + seed))
        for seed in range(comparison.seeds)
        for title, spec in entries
    ]


def budget(comparison: ComparisonSpec) -> float:
    """Return the compute of learning per cell, in steps of plain training."""
    if comparison.learning_budget is not None:
        return comparison.learning_budget
    return cost(resolve(comparison.base.evolve(method=TandemMethod())))


def cost(spec: JobSpec) -> float:
    """Return the compute of learning with a resolved specification, in steps of plain training."""
    return _cost_with(spec, spec.learning.total_steps)


def _spec(comparison: ComparisonSpec, entry: EntrySpec) -> JobSpec:
    base = comparison.base
    changes: dict[str, Any] = {
        part: getattr(base, part).model_dump(exclude_unset=True) | getattr(entry, part)
        for part in PARTS
        if getattr(entry, part)
    }
    changes["evaluation"] = base.evaluation.model_dump(exclude_unset=True) | {
        "mixtures": [],
        "custom": {},
        "seeds": 1,
    }
    changes["split"] = base.split.model_dump(exclude_unset=True) | {"seed": base.split_seed}
    try:
        # The budget may pay for more steps than the base has: too few are found out later.
        spec = resolve(
            base.evolve(method=entry.method, **changes), enough_steps=not comparison.equal_compute
        )
    except ValidationError as error:
        raise _refused(entry, str(error.errors(include_url=False)[0]["msg"])) from error
    except InvalidSpecError as error:
        raise _refused(entry, error.message) from error
    return _within(spec, budget(comparison), entry) if comparison.equal_compute else spec


def _within(spec: JobSpec, allowed: float, entry: EntrySpec) -> JobSpec:
    """Return `spec` with the steps that the budget pays for: no fewer do as much work."""
    steps = range(1, int(allowed) + 2)
    affordable = bisect_right(steps, allowed, key=lambda count: _cost_with(spec, count))
    spent = _cost_with(spec, affordable)
    if spent == 0.0:
        raise InvalidSpecError(
            f"entry {entry.title!r} cannot learn anything for {allowed:.0f} steps of training",
            field="learning_budget",
            value=int(allowed),
            hint="raise learning_budget, or lower what the entry's method needs at least",
        )
    least = steps[bisect_left(steps, spent, key=lambda count: _cost_with(spec, count))]
    return spec.evolve(learning=spec.learning.model_dump() | {"total_steps": least})


def _cost_with(spec: JobSpec, steps: int) -> float:
    """Return the cost with so many steps; 0 where they are too few for the method."""
    learning = spec.learning
    if steps < learning.episode_steps:
        return 0.0
    try:
        length = spec.method.length(replace(spec.job_size, total_steps=steps))
    except ValueError:
        return 0.0
    runs = learning.seeds * (learning.restarts + 1)
    return runs * (length.trained_rows + length.read_rows / 3) / spec.training.batch_size


def _refused(entry: EntrySpec, why: str) -> InvalidSpecError:
    return InvalidSpecError(
        f"entry {entry.title!r} does not fit the base: {why}",
        field="entries",
        value=entry.title,
        hint="correct the named field of the entry, or the base",
    )
