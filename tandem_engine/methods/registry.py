"""The methods by the `kind` of their settings; a new one is a module and a line here."""

from collections.abc import Mapping

from tandem_engine.methods import (
    aioli,
    chameleon,
    doge,
    doremi,
    mixing_laws,
    regmix,
    rules,
    scalebio,
    skill_it,
    tandem,
)
from tandem_engine.methods.protocol import Method, MethodBuilder, MethodSetup

METHODS: Mapping[str, MethodBuilder] = {
    "tandem": tandem.build,
    "uniform": rules.Rule,
    "natural": rules.Rule,
    "temperature": rules.Rule,
    "unimax": rules.Rule,
    "doremi": doremi.Doremi,
    "doge": doge.Doge,
    "skill_it": skill_it.SkillIt,
    "aioli": aioli.Aioli,
    "regmix": regmix.Regmix,
    "mixing_laws": mixing_laws.MixingLaws,
    "scalebio": scalebio.Scalebio,
    "chameleon": chameleon.Chameleon,
}


def build_method(setup: MethodSetup) -> Method:
    """Return a run of the method that the specification names."""
    return METHODS[setup.spec.method.kind](setup)
