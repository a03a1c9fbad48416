"""The methods that a job may learn with, and what their settings say before a run.

Settings are light, because the service reads them too; the mathematics is in
`tandem_engine.methods`, a module for each. Fractions and rates have no unit.
"""

from typing import Annotated

from pydantic import Field

from tandem_engine.contracts.methods.fitted import ChameleonMethod, MixingLawsMethod, RegmixMethod
from tandem_engine.contracts.methods.online import (
    AioliMethod,
    DogeMethod,
    DoremiMethod,
    ScalebioMethod,
    SkillItMethod,
    TandemMethod,
)
from tandem_engine.contracts.methods.rules import (
    NaturalMethod,
    TemperatureMethod,
    UniformMethod,
    UnimaxMethod,
)

AnyMethod = Annotated[
    TandemMethod
    | UniformMethod
    | NaturalMethod
    | TemperatureMethod
    | UnimaxMethod
    | DoremiMethod
    | DogeMethod
    | SkillItMethod
    | AioliMethod
    | RegmixMethod
    | MixingLawsMethod
    | ScalebioMethod
    | ChameleonMethod,
    Field(discriminator="kind"),
]
"""Settings of one method; `kind` says of which."""

METHOD_NAMES = tuple(
    str(settings.model_fields["kind"].default)
    for settings in (
        TandemMethod,
        UniformMethod,
        NaturalMethod,
        TemperatureMethod,
        UnimaxMethod,
        DoremiMethod,
        DogeMethod,
        SkillItMethod,
        AioliMethod,
        RegmixMethod,
        MixingLawsMethod,
        ScalebioMethod,
        ChameleonMethod,
    )
)
