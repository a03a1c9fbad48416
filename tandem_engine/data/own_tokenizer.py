"""A byte-level BPE tokenizer of a job's own domains, for models that start from nothing.

It is trained on a sample of whole documents that is drawn by their digests, so that neither the
order nor the names of files matter; all domains give in proportion to their size. Held-out
documents may be in the sample: a tokenizer learns which letters go together, and nothing of a
sentence. It is kept in the cache by all that it depends on.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tandem_engine.contracts.formats import TOKEN_FORMATS
from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.data.atomic import exclusive_lock, whole_directory
from tandem_engine.data.fingerprints import FileFacts
from tandem_engine.errors import InvalidSpecError
from tandem_engine.inputs.documents import iterate_file
from tandem_engine.inputs.files import SourceFile

END_OF_TEXT = "<|endoftext|>"

_LAYOUT_VERSION = 1
_DIGEST_SPACE = 1 << 64


def own_tokenizer(
    folder: Path, spec: TokenizerSpec, files: Sequence[tuple[SourceFile, FileFacts]]
) -> Path:
    """Return the folder of the tokenizer of `files`, from the cache `folder` or trained into it.

    Raises:
        InvalidSpecError: a file holds tokens and no text.
        TandemError: a file cannot be read; malformed records are left out here.
    """
    for file, _ in files:
        if file.format in TOKEN_FORMATS:
            raise InvalidSpecError(
                f"{file.shown} holds tokens, and a tokenizer is trained on text",
                field="tokenizer.kind",
                value=spec.kind,
                hint="name the tokenizer that the tokens were made with (huggingface)",
            )
    described = {
        "layout": _LAYOUT_VERSION,
        "vocabulary_size": spec.vocabulary_size,
        "sample_bytes": spec.sample_bytes,
        "files": sorted(
            [facts.fingerprint, file.format, file.text_field, file.records] for file, facts in files
        ),
    }
    name = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    entry = folder / name
    with exclusive_lock(folder / f".{name}.lock"):
        if not entry.exists():
            total = sum(facts.size or 0 for _, facts in files)
            share = min(1.0, spec.sample_bytes / total) if total else 1.0
            sample = sorted(_sample([file for file, _ in files], share))
            train_bpe(sample, spec.vocabulary_size or 0, entry)
    return entry


def train_bpe(texts: Iterable[str], vocabulary_size: int, folder: Path) -> None:
    """Train a byte-level BPE and write it to `folder` as `save_pretrained` does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - seconds to import

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT)
    with whole_directory(folder) as partial:
        fast.save_pretrained(partial)


def _sample(files: Sequence[SourceFile], share: float) -> Iterator[str]:
    below = share * _DIGEST_SPACE
    for file in files:
        for document in iterate_file(file, on_malformed=lambda *_: None):
            if int.from_bytes(document.digest[:8], "little") < below:
                yield document.text
