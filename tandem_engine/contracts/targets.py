"""What the mixture is learned for, where that is not the domains' own held-back text."""

from typing import ClassVar

from pydantic import Field

from tandem_engine.contracts.base import Positive
from tandem_engine.contracts.sources import SourceSpec


class TargetSpec(SourceSpec):
    """Text that w validates on and stage two tests on; nothing of it is ever trained on."""

    section: ClassVar[str] = "targets"

    weight: Positive = Field(
        default=1.0,
        description="Weight of the target's loss relative to the other targets', no unit.",
        examples=[2.0],
    )
