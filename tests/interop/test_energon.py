"""Megatron-Energon: exact repetitions of prepared datasets, and random draws without end."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from interop.shares import (
    Check,
    Mixture,
    bounds_of_counts,
    bounds_of_draws,
    naive_tokens,
    sources,
    within,
)

pytest.importorskip("megatron.energon", reason="megatron-energon is in its own environment")
import webdataset
import yaml
from megatron.energon import WorkerConfig, get_loader, get_train_dataset
from megatron.energon.flavors import BaseWebdatasetFactory

DRAWS = 20_000
WORKER = WorkerConfig(rank=0, world_size=1, num_workers=0)
_DATASET = """sample_type:
  __module__: megatron.energon
  __class__: TextSample
field_map: {text: txt}
"""


@pytest.fixture(scope="module")
def prepared(data: Path, texts: Mixture) -> Path:
    """Every domain as a prepared dataset, a document per sample."""
    for domain in texts.domains:
        place = data / "domains" / domain.slug / "energon"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        with webdataset.ShardWriter(f"{place}/part-%05d.tar", maxcount=150, verbose=0) as writer:
            for number, record in enumerate(sources(data, "texts", domain.name)):
                writer.write({"__key__": f"{number:06d}", "txt": record["text"]})
        BaseWebdatasetFactory.prepare_dataset(
            place,
            [path.name for path in sorted(place.glob("*.tar"))],
            split_parts_ratio=[("train", 1.0)],
            tar_index_only=False,
            workers=1,
        )
        (place / ".nv-meta" / "dataset.yaml").write_text(_DATASET)
    return data / "exports" / "energon"


def _texts(place: Path, **options: Any) -> Iterator[str]:
    dataset = get_train_dataset(
        place,
        batch_size=None,
        worker_config=WORKER,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        **options,
    )
    return (sample.text for sample in get_loader(dataset))


def test_exact_repetitions_draw_the_learned_shares(
    prepared: Path, texts: Mixture, check: Check
) -> None:
    drawn = list(_texts(prepared / "blend_epochized.yaml", repeat=False))
    # Each fraction of a pass is cut to whole samples: at most one document per domain is missing.
    assert 0 <= texts.documents["energon"] - len(drawn) <= len(texts.domains)
    assert texts.documents_off(drawn) <= 2
    check("energon epochized", texts, texts.tokens_of(drawn), bounds_of_counts(texts))


def test_random_draws_come_near_the_learned_shares(
    prepared: Path, texts: Mixture, check: Check
) -> None:
    drawn = islice(_texts(prepared / "blend.yaml"), DRAWS)
    check("energon blend", texts, texts.tokens_of(drawn), bounds_of_draws(texts, DRAWS))


def test_weights_of_tokens_would_fail_the_bound(
    prepared: Path, texts: Mixture, tmp_path: Path
) -> None:
    config = yaml.safe_load((prepared / "blend.yaml").read_text())
    for entry in config["splits"]["train"]["blend"]:
        entry["weight"] = texts.shares[entry["subflavors"]["domain"]]
        entry["path"] = str((prepared / entry["path"]).resolve())
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    drawn = texts.tokens_of(islice(_texts(tmp_path / "wrong.yaml"), DRAWS))
    assert not within(drawn, texts.shares, bounds_of_draws(texts, DRAWS))
    expected = naive_tokens(texts, lambda one: one.share)
    assert not within(expected, texts.shares, bounds_of_counts(texts))
