"""The learned mixture by domain name, in the units that trainers want it in."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

from service.jobs.result_schemas import ResultRead, VerdictRead
from tandem_engine.contracts.units import document_shares, largest_remainder

Value = TypeVar("Value")


class MixtureRead(BaseModel):
    """The learned mixture by name, ready for a trainer."""

    object: Literal["mixture"] = Field(
        default="mixture", description="Kind of this object.", examples=["mixture"]
    )
    job_id: str = Field(description="The job.", examples=["job_01jd8v5m3k2f7q9x4w6z0abcde"])
    unit: Literal["tokens", "response_tokens"] = Field(
        description="What the shares are shares of; in the scenario `sft` of the tokens of "
        "responses, which bear the loss.",
        examples=["tokens"],
    )
    shares: dict[str, float] = Field(
        description="The result: share of tokens per domain, sums to 1.",
        examples=[{"code": 0.6, "manuals": 0.4}],
    )
    trajectory_mean: dict[str, float] = Field(
        description="Mean of the whole trajectory.", examples=[{"code": 0.55, "manuals": 0.45}]
    )
    last: dict[str, float] = Field(
        description="After the last episode.", examples=[{"code": 0.61, "manuals": 0.39}]
    )
    natural: dict[str, float] = Field(
        description="Shares of the domains' own token counts.",
        examples=[{"code": 0.7, "manuals": 0.3}],
    )
    verdict: VerdictRead = Field(
        description="Whether the learned mixture beats the free rules.",
        examples=[
            {
                "outcome": "better",
                "text": "The learned mixture has the lowest average test loss of 5 mixtures.",
                "best_mixture": "tandem",
                "warnings": [],
            }
        ],
    )
    by_seed: list[dict[str, float]] = Field(
        description="What each seed learned; `shares` is the mean.",
        examples=[[{"code": 0.58, "manuals": 0.42}, {"code": 0.62, "manuals": 0.38}]],
    )
    interval: dict[str, tuple[float, float]] | None = Field(
        description="Lower and upper end of the 95 % t-interval of each share's mean over seeds; "
        "null with one seed.",
        examples=[{"code": [0.35, 0.85], "manuals": [0.15, 0.65]}],
    )
    document_shares: dict[str, float] | None = Field(
        description="Share of documents per domain that gives `shares` of tokens, by the mean "
        "length of its train documents: for trainers that draw documents (`?format=` counts as a "
        "given trainer does). Null in results of older releases.",
        examples=[{"code": 0.35, "manuals": 0.65}],
    )
    target_tokens: dict[str, int] | None = Field(
        description="Tokens per domain of the manifest's target, whole numbers that sum to it.",
        examples=[{"code": 600_000, "manuals": 400_000}],
    )
    epochs: dict[str, float] | None = Field(
        description="Passes over each domain's train part that `target_tokens` take.",
        examples=[{"code": 0.8, "manuals": 2.4}],
    )
    maximum_epochs: dict[str, float] = Field(
        description="Caps on passes, of the domains that have one.", examples=[{"code": 4.0}]
    )
    unconstrained: dict[str, float] | None = Field(
        description="Learned without the bounds on shares; null when that was not asked for.",
        examples=[{"code": 0.7, "manuals": 0.3}],
    )


def read_mixture(job_id: str, spec: Mapping[str, Any], result: ResultRead) -> MixtureRead:
    """Return the mixture of a result by domain name, with what its specification says of it."""
    mixture = result.mixture

    def named(values: Sequence[Value]) -> dict[str, Value]:
        return dict(zip(mixture.domains, values, strict=True))

    return MixtureRead(
        job_id=job_id,
        unit="response_tokens" if spec["scenario"] == "sft" else "tokens",
        maximum_epochs={
            domain["name"]: domain["maximum_epochs"]
            for domain in spec["domains"]
            if domain.get("maximum_epochs") is not None
        },
        shares=named(mixture.alpha),
        trajectory_mean=named(mixture.trajectory_mean),
        last=named(mixture.last),
        natural=named(mixture.natural),
        verdict=result.verdict,
        by_seed=[named(shares) for shares in mixture.alpha_by_seed],
        interval=None if mixture.interval is None else named(mixture.interval),
        unconstrained=None if mixture.unconstrained is None else named(mixture.unconstrained),
        **_in_other_units(result),
    )


def _in_other_units(result: ResultRead) -> dict[str, dict[str, Any] | None]:
    """Return the fields that need the sizes of domains, null where a result does not hold them."""
    sizes, alpha = result.domains, result.mixture.alpha
    names = ("document_shares", "target_tokens", "epochs")
    if not sizes or any(not (d.train_documents and d.train_loss_tokens) for d in sizes):
        return dict.fromkeys(names)
    targets = largest_remainder(alpha, result.manifest.target_tokens)
    columns: tuple[Sequence[float], ...] = (
        document_shares(alpha, [d.train_loss_tokens / d.train_documents for d in sizes]),
        targets,
        [target / d.train_loss_tokens for target, d in zip(targets, sizes, strict=True)],
    )
    domains = result.mixture.domains
    return {
        name: dict(zip(domains, column, strict=True))
        for name, column in zip(names, columns, strict=True)
    }
