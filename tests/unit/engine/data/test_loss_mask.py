"""The loss mask of real files, token by token against what the tokenizer's own template says."""

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.conversations import tokenizer_folder
from support.corpora import Progress
from transformers import AutoTokenizer

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.data.examples import ExampleSplit, plain_ids

# ChatML with the mark of what an assistant writes, as tokenizers carry it since transformers 4.42;
# one leaves the end of the line out of the mark, the other has it in.
_HEAD = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
_TAIL = "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
_RESPONSE = "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] + '<|im_end|>' }}"
LINE_OUTSIDE = (
    _HEAD + _RESPONSE + "{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ m['content'] + '<|im_end|>\n' }}{% endif %}" + _TAIL
)
LINE_INSIDE = (
    _HEAD + _RESPONSE + "{{ '\n' }}{% endgeneration %}"
    "{% else %}{{ m['content'] + '<|im_end|>\n' }}{% endif %}" + _TAIL
)
UNMARKED = _HEAD + "{{ m['content'] + '<|im_end|>\n' }}" + _TAIL
Conversation = list[dict[str, str]]


def sentence(chance: random.Random) -> str:
    words = ["say", "user", "assistant", "even", "Größe", "数", "x = 1;", "first of", " two", "🙂"]
    return " ".join(chance.choice(words) for _ in range(chance.randint(1, 6)))


def conversations(count: int, seed: int) -> list[Conversation]:
    """Conversations of one to three exchanges, half of them with a system message."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        turns: Conversation = []
        if chance.random() < 0.5:
            turns.append({"role": "system", "content": sentence(chance)})
        for _ in range(chance.randint(1, 3)):
            turns.append({"role": "user", "content": f"{number} {sentence(chance)}"})
            turns.append({"role": "assistant", "content": sentence(chance)})
        found.append(turns)
    return found


def single(count: int, seed: int) -> list[Conversation]:
    return [
        [turns[-2] | {"content": f"{place}: {turns[-2]['content']}"}, turns[-1]]
        for place, turns in enumerate(conversations(count, seed))
    ]


def write(path: Path, records: Sequence[dict[str, Any]]) -> str:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(records)), path)
    else:
        path.write_text(lines, encoding="utf-8")
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, tuple[str, str, list[Conversation]]]:
    """File, kind of its records, and the conversations that they are, by domain."""
    chats, rows, pairs, lists = (
        conversations(30, 1),
        conversations(30, 2),
        single(30, 3),
        single(30, 4),
    )
    as_pairs = [{"prompt": p["content"], "completion": c["content"]} for p, c in pairs]
    as_lists = [{"prompt": [p], "completion": [c]} for p, c in lists]
    messages = [{"messages": turns, "source": "x"} for turns in chats]
    return {
        "chats": (write(tmp_path / "a.jsonl.gz", messages), "messages", chats),
        "rows": (
            write(tmp_path / "b.parquet", [{"messages": turns} for turns in rows]),
            "messages",
            rows,
        ),
        "pairs": (write(tmp_path / "c.jsonl", as_pairs), "prompt_completion", pairs),
        "lists": (write(tmp_path / "d.parquet", as_lists), "prompt_completion", lists),
    }


def by_the_template(folder: Path, turns: Conversation) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return ids and mask as transformers computes them, up to the last token that is learned."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = tokenizer.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = list(found["input_ids"]), list(found["assistant_masks"])
    end = len(mask) - mask[::-1].index(1)
    return tuple(ids[:end]), tuple(mask[:end])


@pytest.mark.parametrize(
    ("template", "marks"),
    [
        (LINE_OUTSIDE, LINE_OUTSIDE),
        (LINE_INSIDE, LINE_INSIDE),
        # Without marks, a response is all that the template adds for it.
        (UNMARKED, LINE_INSIDE),
    ],
    ids=["marked", "marked to the end of the line", "without marks"],
)
def test_ids_and_mask_are_those_of_the_tokenizers_own_template(
    tmp_path: Path,
    data: dict[str, tuple[str, str, list[Conversation]]],
    template: str,
    marks: str,
) -> None:
    folder = tokenizer_folder(tmp_path / "tokenizer", template=template)
    judge = tokenizer_folder(tmp_path / "judge", template=marks)
    spec = JobSpec.model_validate(
        {
            "scenario": "sft",
            "domains": [
                {"name": name, "uris": [uri], "records": kind}
                for name, (uri, kind, _) in data.items()
            ],
            "tokenizer": {"kind": "huggingface", "path": str(folder)},
            "training": {"context_length": 400},
        }
    )
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    for domain in corpus.domains:
        expected = {by_the_template(judge, turns) for turns in data[domain.name][2]}
        found = set()
        for split in (domain.train, domain.validation, domain.test):
            assert isinstance(split, ExampleSplit)
            for index in range(len(split)):
                coded = split.example(index)
                mask = tuple((coded >= 0).astype(int).tolist())
                found.add((tuple(plain_ids(coded).tolist()), mask))
        assert len(expected) == 30
        assert found == expected, domain.name
