"""Learning rate as a pure function of the step; both twins use the same one in lockstep."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Linear warm-up, then constant or cosine to `final_fraction` of the peak."""

    kind: Literal["cosine", "constant"]
    total_steps: int
    warmup_steps: int = 0
    final_fraction: float = 0.0

    def factor(self, step: int) -> float:
        """Return the part of the peak rate at `step` (0-based), in [0, 1]."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "constant":
            return 1.0
        span = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / span)
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_fraction + (1.0 - self.final_fraction) * cosine
