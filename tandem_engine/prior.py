"""The prior as a mixture, and the pull towards it that a step of alpha may have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.priors import PriorSpec
from tandem_engine.mixtures import natural, temperature


def prior_mixture(prior: PriorSpec, domains: Sequence[str], tokens: Sequence[int]) -> Tensor:
    """Return the prior, shape (M,), float64, in the order of `domains`.

    Args:
        prior: What the specification says.
        domains: Names of the job's domains.
        tokens: Their train tokens.
    """
    if prior.kind == "uniform":
        return simplex.uniform(len(domains))
    if prior.kind == "natural":
        return torch.tensor(natural(tokens), dtype=torch.float64)
    if prior.kind == "temperature":
        return torch.tensor(temperature(tokens, prior.temperature), dtype=torch.float64)
    shares = prior.shares or {}
    typed_M = torch.tensor([shares[name] for name in domains], dtype=torch.float64)
    return typed_M / typed_M.sum()


@dataclass(frozen=True, slots=True)
class Pull:
    r"""A term beside the validation loss that keeps alpha near the prior p.

    A step of alpha descends along :math:`\gamma \Delta`, the gradient of the validation loss, at
    a rate eta. With the pull :math:`\lambda` it descends on that loss plus

    .. math:: \tfrac{\lambda}{2} \|\alpha - p\|^2

    by one gradient step on each, the one on the pull taken implicitly, at the alpha that it leads
    to (the proximal gradient method; Parikh, Boyd 2014, "Proximal algorithms", section 4.2):

    .. math:: v = \alpha^t - \eta \gamma \Delta, \qquad
        \alpha^{t+1} = \Pi(v - \eta \lambda (a - p)) \text{ with } a = v - \eta \lambda (a - p),
        \text{ so } \alpha^{t+1} = \Pi\Big(v + \tfrac{\eta \lambda}{1 + \eta \lambda} (p - v)\Big)

    It is at rest where the sum of both is least on the allowed mixtures, whatever eta, and a huge
    pull stays at the prior, where an explicit step would overshoot beyond eta lambda = 2.
    """

    prior_M: Tensor
    strength: float
    """lambda, nats per token."""

    def weight(self, rate: float) -> float:
        """Return the part of the way to the prior, 0 to 1, of a step at `rate` (eta)."""
        return 1.0 - 1.0 / (1.0 + rate * self.strength)

    def __call__(self, point_M: Tensor, rate: float) -> Tensor:
        """Return `point_M` pulled towards the prior by a step at `rate`, not yet projected."""
        return point_M + self.weight(rate) * (self.prior_M - point_M)

    def on_logarithms(self, log_M: Tensor, rate: float) -> Tensor:
        r"""Return logarithms of shares pulled in the geometry of mirror descent.

        There the distance is :math:`\lambda\, KL(\alpha, p)`, and the implicit step goes along
        logarithms: :math:`\alpha^{t+1} \propto v^{1/(1 + \eta\lambda)} p^{\eta\lambda/(1 +
        \eta\lambda)}`.
        """
        weight = self.weight(rate)
        # Zeros count as the smallest float: the divergence stays finite, and no 0 x infinity comes.
        least = torch.finfo(torch.float64).tiny
        log_prior_M = self.prior_M.clamp_min(least).log()
        return (1.0 - weight) * log_M.clamp_min(math.log(least)) + weight * log_prior_M


def build_pull(prior_M: Tensor, strength: float) -> Pull | None:
    """Return the pull, or None where there is none, so that nothing is computed for it."""
    return Pull(prior_M, strength) if strength > 0 else None
