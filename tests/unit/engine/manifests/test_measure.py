"""Lengths by the trainer's tokenizer."""

import json
from pathlib import Path

import pytest
from support.conversations import TEMPLATE, write_records
from support.corpora import Progress, corpus_spec, texts
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.errors import InvalidSpecError
from tandem_engine.exports.reading import read_lengths
from tandem_engine.manifests.measure import measure_job, measure_manifest
from tandem_engine.manifests.read import Manifest
from tandem_engine.manifests.write import write_manifest

WORDS = {
    "few": [f"one two three number{n}" for n in range(40)],
    "many": [" ".join(f"w{n}x{k}" for k in range(30 + n % 3)) for n in range(50)],
}


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer with a token per word."""
    every = {"<unk>": 0, "<eos>": 1}
    inner = Tokenizer(models.WordLevel(every, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<eos>", unk_token="<unk>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(tmp_path / "words")
    return tmp_path / "words"


def consumer(path: Path, documents: int = 1000) -> dict[str, object]:
    tokenizer = {"kind": "huggingface", "path": str(path)}
    return {"consumer": {"tokenizer": tokenizer, "documents": documents}}


def test_every_document_of_a_small_domain_is_counted_with_its_end(
    tmp_path: Path, words: Path
) -> None:
    spec = corpus_spec(tmp_path, WORDS, manifest={"documents": "all"} | consumer(words))
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    rows = measure_job(corpus, spec)
    few = [row for row in rows if row["domain"] == "few"]
    expected = {"domain": "few", "counted_by": "consumer", "loss_tokens": 5, "documents": 40}
    assert few == [expected | {"tokens": 5}]
    many = {row["tokens"]: row["documents"] for row in rows if row["domain"] == "many"}
    assert many == {31: 17, 32: 17, 33: 16}


def test_a_sample_is_random_without_repetition_and_the_same_again(
    tmp_path: Path, words: Path
) -> None:
    long = {"a": [f"{'x ' * n}end" for n in range(400)], "b": WORDS["few"]}
    spec = corpus_spec(tmp_path, long, manifest=consumer(words, 50))
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    rows = [row for row in measure_job(corpus, spec) if row["domain"] == "a"]
    assert sum(row["documents"] for row in rows) == 50
    assert all(row["documents"] == 1 for row in rows)  # every length is another document
    # The mean of 50 of 2..401 is within 4 standard errors (116 / 7) of 201.
    mean = sum(row["tokens"] for row in rows) / 50
    assert abs(mean - 201) < 4 * 116 / 50**0.5
    assert [row for row in measure_job(corpus, spec) if row["domain"] == "a"] == rows


def test_a_downloaded_manifest_is_measured_like_the_job(tmp_path: Path, words: Path) -> None:
    spec = corpus_spec(tmp_path, WORDS, manifest=consumer(words))
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    rows = measure_job(corpus, spec)
    folder = tmp_path / "manifest"
    write_manifest(folder, corpus, [0.5, 0.5], spec, consumer_lengths=rows)
    tokenizer = TokenizerSpec(kind="huggingface", path=str(words))
    assert measure_manifest(Manifest(folder), tokenizer) == rows
    assert set(read_lengths(folder / "lengths.parquet")) == {"job", "consumer"}


def test_conversations_count_the_trainers_template_and_its_responses(
    tmp_path: Path, words: Path
) -> None:
    records = [
        {
            "messages": [
                {"role": "user", "content": f"say it {number}"},
                {"role": "assistant", "content": "well then"},
            ]
        }
        for number in range(12)
    ]
    domains = [
        {
            "name": name,
            "uris": [str(write_records(tmp_path / f"{name}.jsonl", records[part::2]))],
            "records": "messages",
        }
        for part, name in enumerate(("a", "b"))
    ]
    document = {"scenario": "sft", "domains": domains, "training": {"context_length": 128}}
    spec = JobSpec.model_validate(document | {"manifest": consumer(words)})
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    (row, _) = measure_job(corpus, spec)
    # <|im_start|>user say it 3<|im_end|> <|im_start|>assistant well then<|im_end|>: 6 words, and
    # the end; the last two words and the end are the response.
    assert (row["tokens"], row["loss_tokens"]) == (8, 3)


def test_no_consumer_is_measured_unless_asked_for(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, {"a": texts("x", 40), "b": texts("y", 40)})
    assert measure_job(load_corpus(spec, tmp_path / "cache", Progress()), spec) == []


def test_a_tokenizer_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    spec = corpus_spec(
        tmp_path,
        {"a": texts("x", 40), "b": texts("y", 40)},
        manifest=consumer(tmp_path / "nowhere"),
    )
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    with pytest.raises(InvalidSpecError, match="nowhere"):
        measure_job(corpus, spec)


def test_a_tokenizer_that_is_still_to_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="is there already"):
        JobSpec.model_validate_json(
            json.dumps(
                {
                    "domains": [{"name": n, "uris": [f"/d/{n}.jsonl"]} for n in "ab"],
                    "manifest": {
                        "consumer": {"tokenizer": {"kind": "bpe", "vocabulary_size": 300}}
                    },
                }
            )
        )
