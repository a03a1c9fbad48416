"""Tiny fine-tuning data: three tasks, and a pretrained model with its own chat template."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from tandem_engine.contracts.spec import JobSpec

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def echoes(count: int) -> list[dict[str, Any]]:
    """Open-ended: say the word again."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"say {word}"},
                {"role": "assistant", "content": word},
            ]
        }
        for word in (f"w{number:02d}" for number in range(count))
    ]


def letters(count: int) -> list[dict[str, Any]]:
    """Multiple choice: the first letter of the word."""
    return [
        {
            "prompt": f"first of {'abc'[number % 3]}{number}?",
            "completion": "abc"[number % 3],
            "choices": ["a", "b", "c"],
        }
        for number in range(count)
    ]


def parities(count: int) -> list[dict[str, Any]]:
    """Yes or no: is the number even?"""
    return [
        {"prompt": f"{number} even?", "completion": "no" if number % 2 else "yes"}
        for number in range(count)
    ]


def sft_spec(folder: Path, **settings: Any) -> JobSpec:
    """Return a job of seconds on the three tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        "echo": (echoes(30), "messages", "open_ended"),
        "letter": (letters(24), "prompt_completion", "multiple_choice"),
        "parity": (parities(20), "prompt_completion", "yes_no"),
    }
    domains = [
        {
            "name": name,
            "uris": [str(write_records(folder / f"{name}.jsonl", records))],
            "records": layout,
            "task": task,
        }
        for name, (records, layout, task) in kinds.items()
    ]
    base: dict[str, Any] = {
        "scenario": "sft",
        "domains": domains,
        "model": {
            "architecture": "qwen2",
            "hidden_size": 32,
            "layers": 1,
            "heads": 2,
            "key_value_heads": 1,
            "intermediate_size": 64,
        },
        "training": {"batch_size": 6, "context_length": 48, "learning_rate": 0.01},
        "learning": {
            "total_steps": 12,
            "probing_steps": 2,
            "free_steps": 1,
            "delta_sequences": 4,
            "checkpoint_every": 1,
        },
        "evaluation": {
            "steps": 6,
            "seeds": 2,
            "mixtures": ["uniform"],
            "checkpoint_every": 3,
            "metric_records": 4,
            "metric_tokens": 6,
        },
        "runtime": {"device": "cpu", "threads": 1},
    }
    return JobSpec.model_validate(base | settings)


def tokenizer_folder(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """Save a byte-level tokenizer with the marks of ChatML."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_end|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["user assistant say first of even yes no"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    if template is not None:
        fast.chat_template = template
    fast.save_pretrained(folder)
    return folder


def model_folder(folder: Path, *, vocabulary: int = 320, safe: bool = True) -> Path:
    """Save a Qwen2-shaped model of a few thousand parameters, with its tokenizer."""
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=64,
        attention_dropout=0.1,
    )
    model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return tokenizer_folder(folder)
