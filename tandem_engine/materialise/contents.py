"""What a reading carries from its source to its part: a JSON record, or tokens."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tandem_engine.contracts.conversations import RECORD_FIELDS
from tandem_engine.errors import InvalidSpecError
from tandem_engine.inputs.documents import Document
from tandem_engine.inputs.files import SourceFile
from tandem_engine.manifests.read import Manifest

OutputFormat = Literal["jsonl", "parquet", "mds", "megatron", "tokens"]

RECORD_FORMATS: frozenset[OutputFormat] = frozenset({"jsonl", "parquet", "mds"})
"""Formats that hold texts or conversations; the others hold tokens."""

Encode = Callable[[Sequence[Document], SourceFile], list[bytes]]


def record_contents(documents: Sequence[Document], file: SourceFile) -> list[bytes]:
    """Return each document as a JSON object: its text, or the fields of its conversation.

    Raises:
        InvalidSpecError: the file holds tokens.
    """
    contents = []
    for document in documents:
        if document.tokens is not None:
            raise InvalidSpecError(
                f"{file.shown} holds tokens, which cannot be written as records",
                field="format",
                value=file.format,
                hint="write megatron or tokens",
            )
        record: dict[str, Any] = {"text": document.text}
        if document.record is not None and file.records != "text":
            known = RECORD_FIELDS[file.records]
            record = {name: document.record[name] for name in known if name in document.record}
        record["domain"] = file.name
        contents.append(json.dumps(record, ensure_ascii=False).encode("utf-8"))
    return contents


def token_contents(manifest: Manifest, tokenizer_path: str | None) -> tuple[Encode, str]:
    """Return what makes tokens of documents, and the type of the integers.

    Args:
        manifest: Names the job's tokenizer, or holds it.
        tokenizer_path: Folder or hub name of a Hugging Face tokenizer; None is the job's.

    Raises:
        InvalidSpecError: the job's tokenizer is elsewhere and none was given.
    """
    # Seconds to import, and only tokens need it.
    from tandem_engine.contracts.models import TokenizerSpec  # noqa: PLC0415
    from tandem_engine.data.encode import encode_texts, encode_tokens  # noqa: PLC0415
    from tandem_engine.data.tokenise import (  # noqa: PLC0415
        HuggingFaceTokenizer,
        load_tokenizer,
        token_dtype,
    )

    described = manifest.head["tokenizer"]
    own = manifest.folder / "tokenizer"
    if tokenizer_path is not None:
        tokenizer: Any = HuggingFaceTokenizer(tokenizer_path)
    elif described.get("kind") == "bytes":
        tokenizer = load_tokenizer(TokenizerSpec())
    elif own.is_dir():
        tokenizer = HuggingFaceTokenizer(str(own))
    else:
        raise InvalidSpecError(
            f"the manifest was made with the tokenizer {described.get('name')!r}, which it does "
            "not hold",
            field="tokenizer",
            value=described.get("name"),
            hint="give its folder or its name on the hub (--tokenizer)",
        )
    dtype = np.dtype(token_dtype(tokenizer.vocabulary_size))

    def encode(documents: Sequence[Document], file: SourceFile) -> list[bytes]:
        if file.records != "text":
            raise InvalidSpecError(
                f"{file.shown} holds conversations, whose loss mask tokens alone do not carry",
                field="format",
                value=file.records,
                hint="write jsonl, parquet or mds",
            )
        if documents and documents[0].tokens is not None:
            found = [encode_tokens(document, tokenizer, file) for document in documents]
        else:
            found = encode_texts(documents, tokenizer)
        return [ids.astype(dtype, copy=False).tobytes() for ids in found]

    return encode, dtype.name


def tokenizer_argument(given: str | None) -> str | None:
    """Return a folder as an absolute path, and a name on the hub as it is."""
    if given is not None and Path(given).is_dir():
        return str(Path(given).resolve())
    return given
