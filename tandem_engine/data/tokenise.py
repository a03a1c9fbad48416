"""Text to tokens: bytes, or a Hugging Face tokenizer from a local folder.

A tokenizer never adds special tokens; packing puts the end-of-text token after each document.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.errors import InvalidSpecError

TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


class Tokenizer(Protocol):
    """What the data pipeline needs to know."""

    @property
    def name(self) -> str:
        """A short name for people."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256; equal fingerprints give equal tokens."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, end-of-text included; ids are below it."""
        ...

    @property
    def end_of_text(self) -> int:
        """Id of the token that ends a document."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[TokenArray]:
        """Return the tokens of each text, without end-of-text."""
        ...


def token_dtype(vocabulary_size: int) -> npt.DTypeLike:
    """Return the smallest of uint16 and uint32 that holds every id."""
    return np.uint16 if vocabulary_size <= np.iinfo(np.uint16).max + 1 else np.uint32


def load_tokenizer(spec: TokenizerSpec) -> Tokenizer:
    """Return the tokenizer that `spec` names.

    Raises:
        InvalidSpecError: it cannot be loaded, or has no end-of-text token.
    """
    if spec.path is None:
        return ByteTokenizer()
    return HuggingFaceTokenizer(spec.path)


class ByteTokenizer:
    """One token per UTF-8 byte (ids 0 to 255); 256 is end-of-text."""

    name = "bytes"
    vocabulary_size = 257
    end_of_text = 256
    fingerprint = hashlib.sha256(b"tandem bytes tokenizer 1").hexdigest()

    def encode_batch(self, texts: Sequence[str]) -> list[TokenArray]:
        """Return the UTF-8 bytes of each text."""
        return [
            np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.uint16) for text in texts
        ]


class HuggingFaceTokenizer:
    """A tokenizer folder as `save_pretrained` writes it; nothing is downloaded or executed."""

    def __init__(self, path: str) -> None:
        """Load the folder `path`.

        Raises:
            InvalidSpecError: it cannot be loaded, or has no end-of-text token.
        """
        self._tokenizer = _from_folder(path)
        end_of_text = self._tokenizer.eos_token_id
        if end_of_text is None:
            raise InvalidSpecError(
                f"the tokenizer in {path} has no end-of-text token",
                field="tokenizer.path",
                value=path,
                hint="set eos_token in its tokenizer_config.json",
            )
        self.name = Path(path).name
        self.end_of_text = int(end_of_text)
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        # Ids may have gaps, so the number of entries is not the bound.
        self.vocabulary_size = max(*vocabulary.values(), self.end_of_text) + 1
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        described = [
            type(self._tokenizer).__name__,
            sorted(vocabulary.items()),
            self.end_of_text,
            backend.to_str() if backend is not None else "",
        ]
        self.fingerprint = hashlib.sha256(json.dumps(described).encode()).hexdigest()

    def encode_batch(self, texts: Sequence[str]) -> list[TokenArray]:
        """Return the ids of each text."""
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        dtype = token_dtype(self.vocabulary_size)
        return [np.asarray(ids, dtype=dtype) for ids in encoded["input_ids"]]


def _from_folder(path: str) -> Any:
    if not Path(path).is_dir():
        raise InvalidSpecError(
            f"there is no tokenizer folder {path}",
            field="tokenizer.path",
            value=path,
            hint="give a folder with tokenizer.json on the machine that runs the job",
        )
    from transformers import AutoTokenizer  # noqa: PLC0415 - seconds to import, often not needed

    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers raise
        raise InvalidSpecError(
            f"the tokenizer in {path} cannot be loaded: {error}",
            field="tokenizer.path",
            value=path,
            hint="save it again with save_pretrained and give that folder",
        ) from error
