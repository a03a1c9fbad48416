"""A small BPE tokenizer of a corpus' train text, so that a small model gets past its letters."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tandem_engine.data.atomic import whole_directory

VOCABULARY = 512
END_OF_TEXT = "<|endoftext|>"


def build_tokenizer(files: Sequence[Path], folder: Path) -> Path:
    """Train a byte-level BPE on JSON-lines files into `folder`, unless it is there; return it."""
    if folder.exists():
        return folder
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(files), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT)
    with whole_directory(folder) as partial:
        fast.save_pretrained(partial)
    return folder


def _texts(files: Sequence[Path]) -> Iterator[str]:
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["text"]
