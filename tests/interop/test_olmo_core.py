"""OLMo-core: a source mixture builds, and its sequences hold the learned shares of tokens."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from interop.shares import Check, Mixture, within

pytest.importorskip("olmo_core", reason="ai2-olmo-core is in its own environment")
import yaml
from olmo_core.data import NumpyFSLDatasetConfig, TokenizerConfig
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList
from olmo_core.data.types import NumpyDatasetDType
from olmo_core.exceptions import OLMoConfigurationError

END = 256
SEQUENCE = 128
BATCH = 8 * SEQUENCE
TOKENIZER = TokenizerConfig(vocab_size=END + 1, eos_token_id=END, pad_token_id=END)


def _configured(path: Path, tokens: int) -> SourceMixtureDatasetConfig:
    return SourceMixtureDatasetConfig(
        source_list=SourceMixtureList.from_yaml(path),
        requested_tokens=tokens,
        global_batch_size=BATCH,
        seed=0,
        render_tables=False,
    )


def _drawn(mixture: Mixture, path: Path, tokens: int, work: Path) -> Counter[str]:
    config = NumpyFSLDatasetConfig.from_src_mix(
        src_mix=_configured(path, tokens),
        tokenizer=TOKENIZER,
        sequence_length=SEQUENCE,
        dtype=NumpyDatasetDType.uint16,
        work_dir=str(work),
    )
    dataset = config.build()
    dataset.prepare()
    counted: Counter[str] = Counter()
    for number in range(len(dataset)):
        ids = np.asarray(dataset[number]["input_ids"])
        counted[mixture.domain_of(bytes(ids[ids < END].tolist()))] += len(ids)
    return counted


def test_a_source_mixture_draws_the_learned_shares_within_a_batch(
    inside: Path, texts: Mixture, check: Check, tmp_path: Path
) -> None:
    path = inside / "exports" / "olmo_core" / "source_mixture.yaml"
    tokens = texts.all_tokens["olmo_core"]
    drawn = _drawn(texts, path, tokens, tmp_path)
    total = sum(drawn.values())
    assert tokens <= total < tokens + BATCH
    # Whole sequences, and what fills the last batch is dealt to all files alike: so less than a
    # batch of each domain's sequences is not by its share.
    check("olmo_core", texts, drawn, dict.fromkeys(texts.shares, BATCH / total))


def test_the_notes_name_the_tokens_to_request(inside: Path, texts: Mixture) -> None:
    notes = (inside / "exports" / "olmo_core" / "NOTES.md").read_text()
    assert re.findall(r"requested_tokens=(\d+)", notes) == [str(texts.all_tokens["olmo_core"])]


def test_the_cap_allows_the_passes_of_the_mixture_and_no_more_than_a_hundredth_above(
    inside: Path, texts: Mixture
) -> None:
    path = inside / "exports" / "olmo_core" / "source_mixture.yaml"
    tokens = texts.all_tokens["olmo_core"]
    _configured(path, tokens).build(npdtype=np.uint16, sequence_length=SEQUENCE)
    with pytest.raises(OLMoConfigurationError, match="Insufficient tokens for source: short-notes"):
        _configured(path, round(1.02 * tokens)).build(npdtype=np.uint16, sequence_length=SEQUENCE)


def test_shares_of_documents_would_fail_the_bound(
    inside: Path, texts: Mixture, tmp_path: Path
) -> None:
    config = yaml.safe_load((inside / "exports/olmo_core/source_mixture.yaml").read_text())
    for entry, share in zip(config["sources"], texts.document_shares.values(), strict=True):
        entry["target_ratio"] = share
        entry["max_repetition_ratio"] = 10.0
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    drawn = _drawn(texts, tmp_path / "wrong.yaml", texts.all_tokens["olmo_core"], tmp_path)
    assert not within(drawn, texts.shares, dict.fromkeys(texts.shares, 0.05))
