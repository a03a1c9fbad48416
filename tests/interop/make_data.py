"""Writes what the tests of this folder load: corpora, their manifests, and every export.

`python tests/interop/make_data.py FOLDER`, where Tandem is installed. Consumers' environments have
no Tandem: they read the folder, whose `expected.json` says what was learned.

A domain's texts use letters of their own, so that what a trainer drew tells where it came from.
"""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.reading import parse_head, read_lengths, read_shards
from tandem_engine.exports.registry import EXPORTERS, WrittenExport, export_mixture
from tandem_engine.manifests.inventory import inventory_of
from tandem_engine.manifests.tables import slugs
from tandem_engine.manifests.write import ManifestRequest, write_inventory, write_manifest
from tandem_engine.materialise.request import OutputFormat
from tandem_engine.materialise.run import MaterialiseRequest, materialise
from tandem_engine.presets import resolve

SEQUENCE_LENGTH = 128
TARGET_TOKENS = 500_000
RESPONSE_TOKENS = 60_000
TRUNCATE_TOKENS = 400
"""Cuts most documents of one domain, some of another and none of the third."""

TEXTS: dict[str, dict[str, Any]] = {
    # 0.36 passes are read, from two files
    "long/papers": {"letters": "qrstuvwx", "documents": 200, "words": 400, "share": 0.35},
    # 0.9 passes
    "mid": {"letters": "ijklmnop", "documents": 400, "words": 90, "share": 0.4},
    # 2.6 passes
    "short notes": {"letters": "abcdefgh", "documents": 400, "words": 20, "share": 0.25},
    # every second trainer refuses a weight of 0
    "unused": {"letters": "yz", "documents": 40, "words": 30, "share": 0.0},
}
# Prompts and responses differ in opposite directions, so that shares of all tokens, of documents
# and of response tokens are three different mixtures.
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "answers": {"letters": "qrstuvwx", "documents": 300, "words": (10, 60), "share": 0.5},
    "labels": {"letters": "abcdefgh", "documents": 900, "words": (60, 2), "share": 0.2},
    "talk": {"letters": "ijklmnop", "documents": 300, "words": (20, 15), "share": 0.3},
}
# Where a trainer finds a domain, relative to the folder; None is the domain's own files.
PLACES: dict[str, str | None] = {
    "megatron": "domains/{slug}/megatron/part-00000",
    "nemo": "domains/{slug}/megatron/part-00000",
    "gpt_neox": "domains/{slug}/megatron/part-00000",
    "energon": "../../domains/{slug}/energon",
    "mosaic": "domains/{slug}/mds",
    "mosaic_packed": "domains/{slug}/mds_packed",
    "litdata": "domains/{slug}/litdata",
    "litdata_packed": "domains/{slug}/litdata_packed",
    "webdataset": "domains/{slug}/documents.tar",
    "olmo_core": "domains/{slug}/tokens/part-00000.npy",
    "llama_factory": "../../domains/{slug}/jsonl/part-00000.jsonl",
}
PACKED = {"mosaic_packed": "mosaic", "litdata_packed": "litdata"}
FINE_TUNING = ("huggingface", "trl", "llama_factory", "bridge_sft")
RECORDS: tuple[OutputFormat, ...] = ("jsonl", "parquet", "mds")
FORMATS: tuple[OutputFormat, ...] = (*RECORDS, "megatron", "tokens")


def make(folder: Path) -> None:
    """Write everything into `folder`, which becomes a new one."""
    folder = folder.resolve()
    folder.mkdir(parents=True)
    texts = _texts(folder)
    conversations = _conversations(folder)
    expected = {"sequence_length": SEQUENCE_LENGTH, "texts": texts, "conversations": conversations}
    (folder / "expected.json").write_text(json.dumps(expected, indent=2), encoding="utf-8")


def _texts(folder: Path) -> dict[str, Any]:
    domains = []
    for seed, (name, described) in enumerate(sorted(TEXTS.items())):
        draw = random.Random(seed)
        records = [
            {"text": _words(draw, described["letters"], described["words"])}
            for _ in range(described["documents"])
        ]
        parts = [records[:120], records[120:]] if name == "long/papers" else [records]
        domains.append({"name": name, "uris": _written(folder / "sources", name, parts)})
    spec = {"domains": domains, "manifest": {"target_tokens": TARGET_TOKENS, "documents": "all"}}
    resolved = resolve(JobSpec.model_validate({"preset": "tiny-restricted", **spec}))
    corpus = load_corpus(resolved, folder / "cache", lambda _: None)
    shares = [TEXTS[name]["share"] for name in sorted(TEXTS)]
    write_manifest(folder / "manifest", corpus, shares, resolved)
    for output in FORMATS:
        materialise(MaterialiseRequest(folder / "manifest", folder / "corpus" / output, output))
    _write_domains(folder, corpus, resolved)
    plans = {name: _export(folder, "manifest", name) for name in [*EXPORTERS, *PACKED]}
    return _expected(plans, TEXTS, TARGET_TOKENS)


def _conversations(folder: Path) -> dict[str, Any]:
    domains = []
    for seed, (name, described) in enumerate(sorted(CONVERSATIONS.items())):
        draw = random.Random(100 + seed)
        prompt, completion = described["words"]
        records = [
            {
                "prompt": _words(draw, described["letters"], prompt),
                "completion": _words(draw, described["letters"], completion),
            }
            for _ in range(described["documents"])
        ]
        domains.append(
            {
                "name": name,
                "uris": _written(folder / "conversations", name, [records]),
                "records": "prompt_completion",
            }
        )
    spec = {
        "scenario": "sft",
        "domains": domains,
        "manifest": {"target_tokens": RESPONSE_TOKENS, "documents": "all"},
        "training": {"context_length": 1024},
    }
    resolved = resolve(JobSpec.model_validate(spec))
    corpus = load_corpus(resolved, folder / "cache", lambda _: None)
    shares = [CONVERSATIONS[name]["share"] for name in sorted(CONVERSATIONS)]
    write_manifest(folder / "sft_manifest", corpus, shares, resolved)
    for output in RECORDS:
        out = folder / "sft_corpus" / output
        materialise(MaterialiseRequest(folder / "sft_manifest", out, output))
    plans = {}
    for name in FINE_TUNING:
        plans[f"sft_{name}"] = _export(folder, "sft_manifest", name, prefix="sft_")
        cut = {"truncate_tokens": TRUNCATE_TOKENS}
        plans[f"cut_{name}"] = _export(folder, "sft_manifest", name, prefix="cut_", **cut)
    expected = _expected(plans, CONVERSATIONS, RESPONSE_TOKENS)
    return expected | {"truncate_tokens": TRUNCATE_TOKENS}


def _words(draw: random.Random, letters: str, mean: int) -> str:
    """Return from half to one and a half of `mean` words of 3 to 7 of `letters`."""
    count = draw.randint(max(1, mean // 2), mean + mean // 2)
    return " ".join("".join(draw.choices(letters, k=draw.randint(3, 7))) for _ in range(count))


def _written(folder: Path, name: str, parts: Sequence[Sequence[dict[str, str]]]) -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, records in enumerate(parts):
        # A space in a path is a trap of its own.
        path = folder / f"{name.replace('/', ' ')} {number}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        paths.append(str(path))
    return paths


def _write_domains(folder: Path, corpus: Corpus, spec: JobSpec) -> None:
    """Write every domain once, by a manifest of it alone, in what trainers read."""
    inventories = inventory_of(corpus, spec)
    names = slugs([inventory.name for inventory in inventories])
    described = json.loads((folder / "manifest" / "manifest.json").read_text(encoding="utf-8"))
    for slug, inventory in zip(names, inventories, strict=True):
        place = folder / "domains" / slug
        place.mkdir(parents=True)
        request = ManifestRequest(
            method="uniform",
            target_tokens=inventory.available_tokens,
            seed=spec.seed,
            tokenizer=described["tokenizer"],
        )
        write_inventory(place / "manifest", [inventory], [1.0], request)
        for output in FORMATS:
            materialise(MaterialiseRequest(place / "manifest", place / output, output))


def _export(
    folder: Path, manifest: str, name: str, *, prefix: str = "", **settings: Any
) -> WrittenExport:
    head = parse_head((folder / manifest / "manifest.json").read_bytes())
    template = PLACES.get(name) if manifest == "manifest" else None
    options = ExportOptions(
        path_template=template,
        packed=name in PACKED,
        sequence_length=SEQUENCE_LENGTH,
        **settings,
    )
    lengths = read_lengths(folder / manifest / "lengths.parquet")
    shards = read_shards(folder / manifest / "shards.parquet")
    written = export_mixture(PACKED.get(name, name), head, lengths, shards, options)
    out = folder / "exports" / f"{prefix}{name}"
    out.mkdir(parents=True)
    for file, content in written.files.items():
        (out / file).write_text(content, encoding="utf-8")
    return written


def _expected(
    plans: dict[str, WrittenExport], described: dict[str, dict[str, Any]], target: int
) -> dict[str, Any]:
    plan = next(iter(plans.values())).plan
    return {
        "target_tokens": target,
        "domains": [
            {
                "name": domain.name,
                "slug": domain.slug,
                "share": described[domain.name]["share"],
                "letters": described[domain.name]["letters"],
            }
            for domain in plan.domains
        ],
        "dropped": list(plan.dropped),
        "documents": {name: written.plan.documents for name, written in plans.items()},
        "tokens": {name: written.plan.tokens for name, written in plans.items()},
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]))
