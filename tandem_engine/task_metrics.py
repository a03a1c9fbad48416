"""How well a fine-tuned model answers: ROUGE-L of greedy answers, accuracy among choices.

The prompt of a test record is all that comes before its last response, that response is the
reference. Open-ended tasks score the F-measure of ROUGE-L (Lin 2004; torchmetrics, without a
stemmer). Of given choices the model takes the one with the highest mean log-likelihood per token
after the prompt; accuracy is the part of records in which that is the reference. The mean, and
not the sum, so that a long choice is not thrown back by its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import GenerationConfig

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.evaluation import EvaluationSpec
from tandem_engine.data.corpus import Domain
from tandem_engine.data.examples import ExampleSplit, plain_ids
from tandem_engine.data.sampler import first_indices
from tandem_engine.data.tokenise import Tokenizer
from tandem_engine.errors import DatasetMalformedError, MissingLibraryError
from tandem_engine.models.losses import sequence_losses


@dataclass(frozen=True, slots=True)
class Question:
    """A test record: ids before the last response, the response, and what to choose from."""

    prompt: list[int]
    reference: str
    choices: tuple[str, ...] = ()


def questions_of(
    domain: Domain, spec: DomainSpec, tokenizer: Tokenizer, *, seed: int, count: int
) -> list[Question]:
    """Return up to `count` test records of a domain with a task, always the same.

    Raises:
        DatasetMalformedError: a reference is not among its choices.
    """
    split = domain.test
    if not isinstance(split, ExampleSplit):
        raise TypeError(f"domain {domain.name!r} holds texts, not conversations")
    questions = []
    for index in first_indices(len(split), domain.name, seed=seed, count=count).tolist():
        coded = split.example(index)
        # The last response starts after the last id that is read but not learned.
        read = np.flatnonzero(coded < 0)
        start = int(read[-1]) + 1 if read.size else 1
        reference = tokenizer.decode(coded[start:].tolist()).strip()
        choices: Sequence[str] = ()
        if spec.task == "yes_no":
            choices = spec.answers
        elif spec.task == "multiple_choice":
            choices = split.choices[index] if split.choices else ()
        stripped = tuple(choice.strip() for choice in choices)
        if spec.task in {"yes_no", "multiple_choice"} and reference not in stripped:
            raise _not_among(spec, reference, stripped)
        questions.append(Question(plain_ids(coded[:start]).tolist(), reference, stripped))
    return questions


def score(
    model: nn.Module,
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    evaluation: EvaluationSpec,
    *,
    context_length: int,
    device: torch.device,
    batch_size: int,
) -> float:
    """Return the mean score of a model on `questions`, 0 to 1.

    Args:
        model: A causal LM of `transformers`.
        questions: One or more, all with choices or none.
        tokenizer: The model's.
        evaluation: Has the longest answer.
        context_length: Tokens that prompt and answer may have together.
        device: Where the model lives.
        batch_size: Records of a forward pass.

    Raises:
        MissingLibraryError: torchmetrics is not installed.
    """
    model.eval()
    if questions[0].choices:
        return fmean(_chosen(model, one, tokenizer, context_length, device) for one in questions)
    longest = min(evaluation.metric_tokens, context_length // 2)
    answers: list[str] = []
    for first in range(0, len(questions), batch_size):
        prompts = [one.prompt[longest - context_length :] for one in questions[first:][:batch_size]]
        answers += _greedy(model, prompts, tokenizer, longest, device)
    return rouge_l(answers, [one.reference for one in questions])


def rouge_l(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return the mean F-measure of ROUGE-L, 0 to 1.

    Raises:
        MissingLibraryError: torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.text import rouge_score  # noqa: PLC0415 - optional, slow
    except ImportError as error:
        raise MissingLibraryError(
            "ROUGE-L needs torchmetrics",
            field="domains.task",
            value="open_ended",
            hint="pip install torchmetrics, or set the task to none",
        ) from error
    scores = rouge_score(list(answers), list(references), rouge_keys="rougeL")
    return float(scores["rougeL_fmeasure"])


@torch.no_grad()
def _greedy(
    model: Any,
    prompts: Sequence[list[int]],
    tokenizer: Tokenizer,
    longest: int,
    device: torch.device,
) -> list[str]:
    width = max(map(len, prompts))
    ids_BT = torch.full((len(prompts), width), tokenizer.end_of_text)
    mask_BT = torch.zeros_like(ids_BT)
    for row, prompt in enumerate(prompts):
        # On the left, so that every answer begins right after its prompt.
        ids_BT[row, width - len(prompt) :] = torch.tensor(prompt)
        mask_BT[row, width - len(prompt) :] = 1
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=longest,
        pad_token_id=tokenizer.end_of_text,
        eos_token_id=tokenizer.end_of_text,
        use_cache=True,
    )
    generated_BT = model.generate(
        input_ids=ids_BT.to(device), attention_mask=mask_BT.to(device), generation_config=settings
    )
    return [
        tokenizer.decode([token for token in row if token != tokenizer.end_of_text]).strip()
        for row in generated_BT[:, width:].tolist()
    ]


@torch.no_grad()
def _chosen(
    model: nn.Module,
    question: Question,
    tokenizer: Tokenizer,
    context_length: int,
    device: torch.device,
) -> float:
    """Return 1 if the likeliest choice is the reference, else 0."""
    rows = []
    for ids in tokenizer.encode_batch(question.choices):
        # What is read but not predicted is -1 - id, as in the rows that train.
        coded = [*(-1 - token for token in question.prompt), *ids.tolist()]
        rows.append(coded[-context_length - 1 :])
    width = max(map(len, rows))
    padding = -1 - tokenizer.end_of_text
    coded_BT = torch.tensor([row + [padding] * (width - len(row)) for row in rows])
    losses_B = sequence_losses(model, coded_BT.to(device))
    return float(question.choices[int(losses_B.argmin())] == question.reference)


def _not_among(spec: DomainSpec, reference: str, choices: Sequence[str]) -> DatasetMalformedError:
    shown = ", ".join(repr(choice) for choice in choices[:10]) or "none"
    fields = "`answers` of the domain" if spec.task == "yes_no" else "`choices` of the record"
    return DatasetMalformedError(
        f"domain {spec.name!r}: the completion {reference[:200]!r} is none of {shown}",
        field=f"domains.{spec.name}.task",
        value=spec.task,
        hint=f"list every completion in the {fields}, raise training.context_length if responses "
        "are cut, or set the task to open_ended",
    )
