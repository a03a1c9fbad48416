"""All formats by name, and how an export is made: plan, the trainer's files, a sidecar."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tandem_engine.errors import ExportRefusedError, InvalidSpecError
from tandem_engine.exports.axolotl import AXOLOTL
from tandem_engine.exports.base import Exporter
from tandem_engine.exports.bridge_sft import BRIDGE_SFT
from tandem_engine.exports.energon import ENERGON
from tandem_engine.exports.grain import GRAIN, MAXTEXT, TORCHTITAN
from tandem_engine.exports.huggingface import HUGGINGFACE
from tandem_engine.exports.levanter import LEVANTER
from tandem_engine.exports.llama_factory import LLAMA_FACTORY
from tandem_engine.exports.loaders import LITDATA, TORCHDATA, WEBDATASET
from tandem_engine.exports.megatron import GPT_NEOX, MEGATRON, NEMO
from tandem_engine.exports.mosaic import MOSAIC
from tandem_engine.exports.nanotron import NANOTRON
from tandem_engine.exports.olmo import OLMIX, OLMO_CORE
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import Lengths, MixturePlan, plan_export
from tandem_engine.exports.sidecar import SIDECAR, sidecar
from tandem_engine.exports.tables import CSV, DOREMI, JSON, YAML
from tandem_engine.exports.trl import TRL

EXPORTERS: Mapping[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        MEGATRON,
        NEMO,
        BRIDGE_SFT,
        ENERGON,
        GPT_NEOX,
        MOSAIC,
        HUGGINGFACE,
        TRL,
        OLMO_CORE,
        OLMIX,
        LEVANTER,
        NANOTRON,
        TORCHTITAN,
        GRAIN,
        MAXTEXT,
        LITDATA,
        LLAMA_FACTORY,
        AXOLOTL,
        WEBDATASET,
        TORCHDATA,
        DOREMI,
        JSON,
        YAML,
        CSV,
    )
}


@dataclass(frozen=True, slots=True)
class WrittenExport:
    """An export with its sidecar."""

    exporter: Exporter
    plan: MixturePlan
    primary: str
    """Name of the file that the trainer loads."""
    files: dict[str, str]
    usage: tuple[str, ...]
    warnings: tuple[str, ...]


def export_mixture(
    name: str,
    head: Mapping[str, Any],
    lengths: Mapping[str, Lengths],
    shards: Iterable[Mapping[str, Any]],
    options: ExportOptions,
) -> WrittenExport:
    """Return the files of a format; the other arguments are those of `plan_export`.

    Raises:
        InvalidSpecError: there is no such format, or the options do not go with the manifest.
        ExportRefusedError: the trainer cannot be given this mixture.
    """
    exporter = EXPORTERS.get(name)
    if exporter is None:
        raise InvalidSpecError(
            f"there is no format {name!r}",
            field="format",
            value=name,
            hint=f"one of {', '.join(sorted(EXPORTERS))}",
        )
    plan = plan_export(head, lengths, shards, options)
    if not plan.domains:
        raise ExportRefusedError("every share is 0", hint="learn the mixture again")
    made = exporter.write(plan, options)
    unread = _unread(plan) if exporter.reads_sources else []
    warnings = (*plan.warnings, *unread, *made.warnings)
    return WrittenExport(
        exporter=exporter,
        plan=plan,
        primary=next(iter(made.files)),
        files={**made.files, SIDECAR: sidecar(exporter, plan, made.usage, warnings)},
        usage=made.usage,
        warnings=warnings,
    )


def _unread(plan: MixturePlan) -> list[str]:
    more = {d.name: d.rows - d.available_documents for d in plan.domains}
    shown = ", ".join(f"{name!r} {count}" for name, count in more.items() if count)
    if not shown:
        return []
    return [
        (
            "the files hold records that the manifest leaves out (held out for tests, duplicate "
            f"or blank: {shown}); a trainer that reads the files as they lie reads those too, "
            "`tandem materialise` writes a corpus without them"
        )
    ]
