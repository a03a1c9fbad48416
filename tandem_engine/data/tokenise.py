"""Text to tokens: bytes, or a Hugging Face tokenizer.

A tokenizer never adds special tokens; packing puts the end-of-text token after each document.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.conversations import Message
from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.data.chat import ChatTemplate, plain_template
from tandem_engine.errors import InvalidSpecError
from tandem_engine.pretrained import load_pretrained

_MARKS = re.compile(r"\{%-?\s*generation\b")

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

    @property
    def chat_template(self) -> ChatTemplate:
        """Renders conversations."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[TokenArray]:
        """Return the tokens of each text, without end-of-text."""
        ...

    def encode_marked(
        self, messages: Sequence[Message]
    ) -> tuple[TokenArray, npt.NDArray[np.bool_]] | None:
        """Return ids and which of them the chat template marks as an assistant's, of same shape.

        None where the template has no marks (`{% generation %}`).
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without special tokens."""
        ...

    def ends(self, text: str) -> bool:
        """Tell if `text` already ends with the written form of end-of-text."""
        ...


def token_dtype(vocabulary_size: int) -> npt.DTypeLike:
    """Return the smallest of uint16 and uint32 that holds every id."""
    return np.uint16 if vocabulary_size <= np.iinfo(np.uint16).max + 1 else np.uint32


def load_tokenizer(spec: TokenizerSpec) -> Tokenizer:
    """Return the tokenizer that `spec` names.

    Raises:
        InvalidSpecError: it cannot be loaded, or has no end-of-text token.
        ValueError: the tokenizer is still to be trained (`data.own_tokenizer`).
    """
    if spec.kind == "bpe":
        raise ValueError("a job's own tokenizer is trained before it is loaded")
    if spec.path is None:
        return ByteTokenizer()
    return HuggingFaceTokenizer(spec.path, spec.revision)


class ByteTokenizer:
    """One token per UTF-8 byte (ids 0 to 255); 256 is end-of-text."""

    name = "bytes"
    vocabulary_size = 257
    end_of_text = 256
    fingerprint = hashlib.sha256(b"tandem bytes tokenizer 1").hexdigest()
    chat_template: ChatTemplate = staticmethod(plain_template)

    def encode_batch(self, texts: Sequence[str]) -> list[TokenArray]:
        """Return the UTF-8 bytes of each text."""
        return [
            np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.uint16) for text in texts
        ]

    def encode_marked(
        self,
        messages: Sequence[Message],  # noqa: ARG002 - as the protocol says
    ) -> None:
        """Return None: the plain template has no marks."""
        return

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of bytes; what is not UTF-8 becomes the replacement character."""
        plain = bytes(value for value in ids if value < self.end_of_text)
        return plain.decode("utf-8", errors="replace")

    def ends(self, text: str) -> bool:  # noqa: ARG002 - end-of-text has no written form here
        """Return False."""
        return False


class HuggingFaceTokenizer:
    """A tokenizer as `save_pretrained` writes it, from a folder or the hub; no code is executed."""

    def __init__(self, path: str, revision: str | None = None) -> None:
        """Load the folder or hub name `path`.

        Raises:
            InvalidSpecError: it cannot be loaded, or has no end-of-text token.
        """
        self._tokenizer = load_pretrained(
            "AutoTokenizer", path, revision, field="tokenizer.path", needs="tokenizer.json"
        )
        end_of_text = self._tokenizer.eos_token_id
        if end_of_text is None:
            raise InvalidSpecError(
                f"the tokenizer in {path} has no end-of-text token",
                field="tokenizer.path",
                value=path,
                hint="set eos_token in its tokenizer_config.json",
            )
        self.name = Path(path).name
        self.path = path
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
        if self._tokenizer.chat_template:
            described.append(self._tokenizer.chat_template)
        self.fingerprint = hashlib.sha256(json.dumps(described).encode()).hexdigest()

    @property
    def chat_template(self) -> ChatTemplate:
        """The tokenizer's own template, or the plain one where it has none."""
        return self._render if self._tokenizer.chat_template else plain_template

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

    def encode_marked(
        self, messages: Sequence[Message]
    ) -> tuple[TokenArray, npt.NDArray[np.bool_]] | None:
        """Return ids and mask as `apply_chat_template` gives them, or None without marks."""
        if not _MARKS.search(self._tokenizer.chat_template or ""):
            return None
        found = self._tokenizer.apply_chat_template(
            _turns(messages), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        ids = np.asarray(found["input_ids"], dtype=token_dtype(self.vocabulary_size))
        return ids, np.asarray(found["assistant_masks"], dtype=np.bool_)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def ends(self, text: str) -> bool:
        """Tell if `text` ends with the end-of-text token, blanks aside."""
        return text.rstrip().endswith(str(self._tokenizer.eos_token))

    def _render(self, messages: Sequence[Message], ask: bool) -> str:  # noqa: FBT001 - see ChatTemplate
        return str(
            self._tokenizer.apply_chat_template(
                _turns(messages),
                tokenize=False,
                add_generation_prompt=ask,
            )
        )


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]
