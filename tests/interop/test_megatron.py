"""Megatron Core: samples of a blend come from the domains in the learned shares of tokens."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interop.shares import Check, Mixture, naive_tokens, sources, within

pytest.importorskip("megatron.core", reason="megatron-core is in its own environment")
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import get_blend_from_list

END = 256
SEQUENCE = 128


@pytest.fixture(scope="module", autouse=True)
def group_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Megatron asks for its rank when it builds a blend."""
    place = tmp_path_factory.mktemp("group") / "rendezvous"
    torch.distributed.init_process_group(
        "gloo", rank=0, world_size=1, init_method=f"file://{place}"
    )
    yield
    torch.distributed.destroy_process_group()


def _built(blend: Any, samples: int, *, split: str | None) -> Any:
    tokenizer = SimpleNamespace(vocab_size=END + 1, eod=END, pad=END, unique_identifiers={})
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=SEQUENCE,
        blend=blend if split else None,
        blend_per_split=None if split else [blend, None, None],
        split=split,
        tokenizer=tokenizer,
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    sizes = [samples, 0, 0]
    builder = BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, config)
    return builder.build()[0]


def _blend(folder: Path, form: str) -> Any:
    """Parse a file as `megatron.training` does, which is not in the wheel."""
    place = folder / "exports" / "megatron"
    if form == "blend.txt":
        return get_blend_from_list((place / form).read_text().split())
    per_split = json.loads((place / form).read_text())
    assert [*per_split] == ["train", "valid", "test"]
    assert per_split["valid"] is per_split["test"] is None
    return get_blend_from_list(per_split["train"])


def _drawn(mixture: Mixture, dataset: Any, samples: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for number in range(samples):
        tokens = dataset[number]["tokens"].numpy()
        counted[mixture.domain_of(bytes(tokens[tokens < END].tolist()))] += len(tokens)
    return counted


@pytest.mark.parametrize(("form", "split"), [("blend.json", None), ("blend.txt", "100,0,0")])
def test_a_blend_draws_the_learned_shares_within_a_sample(
    inside: Path, texts: Mixture, check: Check, form: str, split: str | None
) -> None:
    samples = -(-texts.all_tokens["megatron"] // SEQUENCE)
    dataset = _built(_blend(inside, form), samples, split=split)
    # Megatron takes each sample from the domain that is most behind: one sample is the quantum.
    bounds = dict.fromkeys(texts.shares, 1 / samples)
    names = list(texts.shares)
    indexed = np.bincount(dataset.dataset_index[:samples], minlength=len(names))
    by_index = dict(zip(names, indexed.tolist(), strict=True))
    check(f"megatron {form}, index", texts, by_index, bounds)
    # A sample goes by the domain of most of its letters: the index is checked against its content.
    drawn = _drawn(texts, dataset, samples)
    check(f"megatron {form}, tokens", texts, drawn, bounds)
    assert drawn == {name: count * SEQUENCE for name, count in by_index.items()}


def test_weights_of_documents_would_fail_the_bound(inside: Path, texts: Mixture) -> None:
    samples = -(-texts.all_tokens["megatron"] // SEQUENCE)
    prefixes, weights = _blend(inside, "blend.json")
    assert weights == pytest.approx(list(texts.shares.values()))
    wrong = (prefixes, list(texts.document_shares.values()))
    drawn = _drawn(texts, _built(wrong, samples, split=None), samples)
    assert not within(drawn, texts.shares, dict.fromkeys(texts.shares, 10 / samples))
    assert not within(
        naive_tokens(texts, lambda one: one.share),
        texts.shares,
        dict.fromkeys(texts.shares, 10 / samples),
    )


def test_a_domain_written_by_tandem_holds_its_documents(data: Path, texts: Mixture) -> None:
    for domain in texts.domains:
        read = IndexedDataset(str(data / "domains" / domain.slug / "megatron" / "part-00000"))
        written = sorted(_text(read[number]) for number in range(len(read)))
        assert written == sorted(row["text"] for row in sources(data, "texts", domain.name))


def test_the_materialised_corpus_holds_the_documents_of_its_json_lines(
    data: Path, texts: Mixture
) -> None:
    read = IndexedDataset(str(data / "corpus" / "megatron" / "part-00000"))
    lines = (data / "corpus" / "jsonl" / "part-00000.jsonl").read_text().splitlines()
    assert [_text(read[number]) for number in range(len(read))] == [
        json.loads(line)["text"] for line in lines
    ]
    assert read.sequence_lengths.sum() == pytest.approx(texts.target_tokens, rel=0.01)


def _text(tokens: np.ndarray[Any, Any]) -> str:
    assert tokens[-1] == END
    return bytes(tokens[:-1].tolist()).decode()
