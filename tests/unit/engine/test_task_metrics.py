"""Scores of answers, against values worked out by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.conversations import sft_spec
from torch import Tensor, nn

from tandem_engine.contracts.evaluation import EvaluationSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.data.tokenise import ByteTokenizer
from tandem_engine.errors import DatasetMalformedError
from tandem_engine.presets import resolve
from tandem_engine.stage_two import scored_records
from tandem_engine.task_metrics import Question, rouge_l, score

CPU = torch.device("cpu")


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    # Common subsequence "the cat": precision 2/3, recall 2/4, F = 2 * (1/3) / (7/6) = 4/7.
    assert rouge_l(["the black cat"], ["the cat sat down"]) == pytest.approx(4 / 7)
    assert rouge_l(["same words", "other"], ["same words", "x"]) == pytest.approx(0.5)


class Prefers(nn.Module):
    """Gives one byte a high probability after anything."""

    def __init__(self, byte: str) -> None:
        super().__init__()
        self.byte = ord(byte)

    def forward(self, input_ids: Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, 257)
        logits[..., self.byte] = 5.0

        class Output:
            pass

        output = Output()
        output.logits = logits  # type: ignore[attr-defined]
        return output


def ask(model: nn.Module, *questions: Question) -> float:
    return score(
        model,
        questions,
        ByteTokenizer(),
        EvaluationSpec(),
        context_length=32,
        device=CPU,
        batch_size=4,
    )


@pytest.mark.parametrize(("byte", "accuracy"), [("a", 1.0), ("b", 0.0)])
def test_the_likeliest_choice_is_taken(byte: str, accuracy: float) -> None:
    question = Question([1, 2, 3], "a", ("a", "b"))
    assert ask(Prefers(byte), question, question) == accuracy


def test_a_long_choice_is_not_thrown_back_by_its_length() -> None:
    assert ask(Prefers("a"), Question([1], "aaaa", ("aaaa", "b"))) == 1.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("sft")
    return load_corpus(resolve(sft_spec(folder)), folder / "cache", lambda _: None)


def test_a_prompt_ends_where_the_answer_begins(corpus: Corpus, tmp_path: Path) -> None:
    records = scored_records(corpus, resolve(sft_spec(tmp_path)))
    names = [domain.name for domain in corpus.domains]
    by_domain = dict(zip(names, records, strict=True))
    echo = by_domain["echo"][0]
    prompt = bytes(echo.prompt).decode()
    assert prompt == f"<|user|>\nsay {echo.reference}\n<|assistant|>\n"
    assert by_domain["parity"][0].choices == ("yes", "no")
    assert by_domain["letter"][0].choices == ("a", "b", "c")
    assert len(by_domain["echo"]) <= 4


def test_a_completion_that_is_no_choice_is_found_before_the_learning(tmp_path: Path) -> None:
    spec = sft_spec(tmp_path)
    domains = [
        domain.evolve(answers=["ja", "nein"]) if domain.name == "parity" else domain
        for domain in spec.domains
    ]
    spec = resolve(
        spec.evolve(domains=[domain.model_dump(exclude_unset=True) for domain in domains])
    )
    corpus = load_corpus(spec, tmp_path / "cache", lambda _: None)
    with pytest.raises(DatasetMalformedError, match="is none of 'ja', 'nein'") as caught:
        scored_records(corpus, spec)
    assert caught.value.field == "domains.parity.task"
