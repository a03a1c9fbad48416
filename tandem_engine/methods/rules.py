"""Free rules as methods: uniform, natural, temperature and UniMax (`tandem_engine.mixtures`).

They need no training. One step of a proxy on the rule's mixture shows the losses that training
starts from, so that a rule has a trajectory of one point like any other method.
"""

from collections.abc import Sequence
from typing import Any

import torch

from tandem_engine.contracts.methods.rules import (
    NaturalMethod,
    TemperatureMethod,
    UniformMethod,
    UnimaxMethod,
)
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.mixtures import natural, temperature, uniform, unimax
from tandem_engine.twins import Twin

RuleSettings = UniformMethod | NaturalMethod | TemperatureMethod | UnimaxMethod


def shares(settings: RuleSettings, tokens: Sequence[int], budget: int) -> list[float]:
    """Return the rule's shares per domain.

    Args:
        settings: Which rule.
        tokens: Loss-bearing train tokens per domain.
        budget: Loss-bearing tokens that a model of stage two trains on (UniMax).
    """
    match settings:
        case UniformMethod():
            return uniform(len(tokens))
        case NaturalMethod():
            return natural(tokens)
        case TemperatureMethod():
            return temperature(tokens, settings.temperature)
        case UnimaxMethod():
            return unimax(tokens, budget, settings.max_epochs)


class Rule:
    """A run of a rule: one step, one point."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, RuleSettings)  # noqa: S101 - the registry's promise
        found = shares(settings, setup.tokens, setup.stage_two_tokens)
        self._alpha_M = setup.project(torch.tensor(found, dtype=torch.float64))
        self._proxy = Proxy(setup, total_steps=1)

    @property
    def proxy(self) -> Twin:
        """The model after its step."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Take the step."""
        rate_factor = self._proxy.rate_factor
        self._proxy.train_on_mixture(self._alpha_M, 1)
        return Episode(
            number=1,
            step=1,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._alpha_M.clone(),
            delta_M=torch.zeros_like(self._alpha_M),
            rate_factor=rate_factor,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the proxy's state."""
        return self._proxy.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the proxy's state."""
        self._proxy.load_state_dict(state)
