"""Bounds on the learned shares: from a specification and the domains' sizes, and back into words.

Lists are per domain in the sorted order of names.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.polytope import Bounds

AT_BOUND = 1e-9
"""A share this close to a bound lies on it; the projection puts it there exactly."""
BROKEN = 1e-6
"""A share this far beyond a bound breaks it."""


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """The bounds of a job, the domains' names, and what each upper bound comes from, in words."""

    names: list[str]
    bounds: Bounds
    caps: list[str]

    def active(self, alpha_TM: Tensor) -> list[str]:
        """Return a sentence for every bound that mixtures lie on.

        Args:
            alpha_TM: The episodes that the result is the mean of, shape (episodes, M).
        """
        sentences = []
        lower_hits = ((alpha_TM - self.bounds.lower_M).abs() <= AT_BOUND).sum(dim=0).tolist()
        upper_hits = ((alpha_TM - self.bounds.upper_M).abs() <= AT_BOUND).sum(dim=0).tolist()
        for place, name in enumerate(self.names):
            low, high = float(self.bounds.lower_M[place]), float(self.bounds.upper_M[place])
            if low == high:
                sentences.append(f"the bounds fix the share of domain {name} at {low:.4g}")
                continue
            for bound, what, hits, cuts in (
                (high, f"the cap of {self.caps[place]}", upper_hits[place], high < 1),
                (low, "the floor of minimum_share", lower_hits[place], low > 0),
            ):
                if hits and cuts:
                    sentences.append(_sentence(what, name, bound, hits, len(alpha_TM)))
        return sentences

    def broken_by(self, mixtures: Mapping[str, Sequence[float]]) -> list[str]:
        """Return the names of the mixtures that lie outside the bounds."""
        outside = []
        for name, shares in mixtures.items():
            share_M = torch.tensor(shares, dtype=torch.float64)
            below_M, above_M = self.bounds.lower_M - share_M, share_M - self.bounds.upper_M
            if float(torch.maximum(below_M, above_M).max()) > BROKEN:
                outside.append(name)
        return outside


def share_limits(
    domains: Sequence[DomainSpec], tokens: Sequence[int], target_tokens: int
) -> ShareLimits | None:
    r"""Return the bounds on the shares, or None where nothing bounds them.

    Upper bounds are :math:`\min(1, \text{maximum share}, \text{maximum epochs} \cdot n_m / N)`:
    at the share :math:`\alpha_m` a training run of N tokens passes :math:`\alpha_m N / n_m` times
    over the domain.

    Args:
        domains: The specification's domains.
        tokens: Tokens that the manifest counts per domain, n.
        target_tokens: Tokens to train on, N.

    Raises:
        InvalidSpecError: a cap of epochs is below the domain's minimum, or the caps leave less
            than the target.
    """
    lower = [domain.minimum_share or 0.0 for domain in domains]
    upper, caps = [], []
    for domain, held in zip(domains, tokens, strict=True):
        bound, words = _cap(domain, held, target_tokens)
        if domain.maximum_epochs is not None and (domain.minimum_share or 0.0) > bound:
            raise _below_minimum(domain, held, target_tokens, bound)
        upper.append(bound)
        caps.append(words)
    if not any(lower) and min(upper) >= 1:
        return None
    bounds = [torch.tensor(values, dtype=torch.float64) for values in (lower, upper)]
    try:
        return ShareLimits([domain.name for domain in domains], Bounds(*bounds), caps)
    except ValueError as error:
        raise _too_little(domains, tokens, target_tokens) from error


def baselines_outside(names: Iterable[str]) -> list[str]:
    """Return the warning about free rules that break the bounds, in a list; empty without any."""
    listed = ", ".join(names)
    if not listed:
        return []
    return [f"the bounds on shares do not hold for the free rules, which are baselines: {listed}"]


def _sentence(what: str, name: str, bound: float, hits: int, episodes: int) -> str:
    if hits == episodes:
        return f"{what} holds for domain {name} at {bound:.4g}"
    times = f"in {hits} of the last {episodes} episodes"
    return f"{what} held for domain {name} at {bound:.4g} {times}"


def _cap(domain: DomainSpec, tokens: int, target_tokens: int) -> tuple[float, str]:
    bound, words = 1.0, "1"
    if domain.maximum_share is not None:
        bound, words = domain.maximum_share, "maximum_share"
    if domain.maximum_epochs is not None:
        by_epochs = domain.maximum_epochs * tokens / target_tokens
        if by_epochs < bound:
            bound, words = by_epochs, f"{domain.maximum_epochs:g} epochs"
    return bound, words


def _below_minimum(
    domain: DomainSpec, tokens: int, target_tokens: int, bound: float
) -> InvalidSpecError:
    minimum = domain.minimum_share or 0.0
    # Rounded to the safe side, so that doing as the hint says is enough.
    enough = math.ceil(minimum * target_tokens / tokens * 1e4) / 1e4
    lowered = math.floor(bound * 1e6) / 1e6
    return InvalidSpecError(
        f"maximum_epochs {domain.maximum_epochs} of domain {domain.name!r} caps its share at "
        f"{bound:.6g} ({tokens} tokens of a target of {target_tokens}), below its minimum_share "
        f"{minimum}",
        field=f"domains.{domain.name}.maximum_epochs",
        value=domain.maximum_epochs,
        hint=f"raise maximum_epochs to {enough} or more, or lower "
        f"minimum_share to {lowered} or manifest.target_tokens",
    )


def _too_little(
    domains: Sequence[DomainSpec], tokens: Sequence[int], target_tokens: int
) -> InvalidSpecError:
    def allowed(target: int) -> float:
        pairs = zip(domains, tokens, strict=True)
        return sum(_cap(domain, held, target)[0] for domain, held in pairs)

    # The caps allow less the larger the target is; count the targets that they allow in full.
    largest = bisect_left(range(1, target_tokens + 1), True, key=lambda target: allowed(target) < 1)
    return InvalidSpecError(
        f"maximum_epochs and maximum_share of all domains together allow "
        f"{allowed(target_tokens):.4%} of {target_tokens} target tokens",
        field="manifest.target_tokens",
        value=target_tokens,
        hint=f"raise maximum_epochs or maximum_share of a domain, or set manifest.target_tokens "
        f"to {largest} or less",
    )
