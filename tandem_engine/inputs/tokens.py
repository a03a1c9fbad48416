r"""Documents that are tokens already: Megatron `.bin` with `.idx`, `.npy` arrays, flat files.

Megatron's index (`megatron/core/datasets/indexed_dataset.py`): `MMIDIDX\0\0`, uint64 version 1,
uint8 code of the integers, uint64 sequences, uint64 documents + 1, int32 lengths, int64 pointers
into `.bin` in bytes, int64 the sequence that each document starts with. Flat files have no
documents of their own: one ends after each end-of-text.
"""

import math
import struct
import sys
from collections.abc import Iterator
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.uris import Location
from tandem_engine.errors import DatasetMalformedError
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.lines import read_up_to

Tokens = npt.NDArray[np.integer[Any]]

LONGEST_DOCUMENT = 1 << 26
"""Tokens of a document, after which a file is refused."""

_MAGIC = b"MMIDIDX\x00\x00"
_HEAD = struct.Struct("<9sQBQQ")
_INTEGERS = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
_CHUNK_TOKENS = 1 << 20
_NO_LITERALS = (
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
)
_TOO_FEW = "names more tokens than its .bin holds"


def bin_of(file: SourceFile) -> Location:
    """Return where the tokens of a Megatron index lie."""
    return file.location.at(f"{file.location.path.removesuffix('.idx')}.bin")


def token_documents(
    file: SourceFile, stream: BinaryIO, end_of_text: int | None
) -> Iterator[tuple[int, Tokens]]:
    """Yield index and ids of each document that holds a token; a last end-of-text is kept.

    Raises:
        DatasetMalformedError: the file is not what its format says, or has no end-of-text.
        ValueError: tokens are flat and `end_of_text` is None.
    """
    if file.format == "megatron":
        yield from _megatron(file, stream)
        return
    if end_of_text is None:
        raise ValueError("flat tokens can only be cut into documents at an end-of-text")
    dtype, shape = _flat_layout(file, stream)
    documents = (
        _rows(file, stream, dtype, shape)
        if shape is not None and len(shape) == 2  # noqa: PLR2004
        else _cut(file, _chunks(file, stream, dtype, shape), end_of_text)
    )
    for index, tokens in enumerate(documents):
        if len(tokens):
            yield index, tokens


def count_tokens(file: SourceFile) -> int:
    """Return the tokens of a file without reading them.

    Raises:
        DatasetMalformedError: the file is not what its format says.
    """
    with file.open() as stream:
        if file.format == "megatron":
            return int(_index(file, stream)[1].sum())
        dtype, shape = _flat_layout(file, stream)
        begin = stream.tell()
        stored = (stream.seek(0, 2) - begin) // dtype.itemsize
        if shape is None:
            return stored
        if stored < math.prod(shape):
            raise _cut_off(file)
        return math.prod(shape)


def _index(
    file: SourceFile, stream: BinaryIO
) -> tuple[np.dtype[Any], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    head = stream.read(_HEAD.size)
    magic, version, code, sequences, documents = (
        _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0, 0, 0)
    )
    if magic != _MAGIC or version != 1 or code not in _INTEGERS:
        raise file.malformed("is no Megatron index", "give the .idx that was written with the .bin")
    size = sequences * 12 + documents * 8
    content = read_up_to(stream, size)
    if len(content) != size:
        raise _cut_off(file)
    lengths = np.frombuffer(content, "<i4", sequences)
    pointers = np.frombuffer(content, "<i8", sequences, offset=4 * sequences)
    starts = np.frombuffer(content, "<i8", documents, offset=12 * sequences)
    least = min(int(part.min(initial=0)) for part in (lengths, pointers, starts))
    if least < 0 or starts.max(initial=0) > sequences or (np.diff(starts) < 0).any():
        raise file.malformed("names sequences that cannot be", "copy .idx and .bin again")
    return np.dtype(_INTEGERS[code]), lengths, pointers, starts


def _megatron(file: SourceFile, stream: BinaryIO) -> Iterator[tuple[int, Tokens]]:
    dtype, lengths, pointers, starts = _index(file, stream)
    with file.open(bin_of(file)) as tokens:
        if pointers.max(initial=0) > tokens.seek(0, 2):
            raise file.malformed(_TOO_FEW, "copy .idx and .bin again")
        for index in range(len(starts) - 1):
            parts = []
            held = slice(int(starts[index]), int(starts[index + 1]))
            if lengths[held].sum(dtype=np.int64) > LONGEST_DOCUMENT:
                raise file.malformed(
                    f"document {index + 1} has more than {LONGEST_DOCUMENT} tokens",
                    "cut it into several documents",
                )
            for sequence in range(held.start, held.stop):
                tokens.seek(int(pointers[sequence]))
                size = int(lengths[sequence]) * dtype.itemsize
                content = read_up_to(tokens, size)
                if len(content) != size:
                    raise file.malformed(_TOO_FEW, "copy .idx and .bin again")
                parts.append(np.frombuffer(content, dtype))
            if ids := [part for part in parts if len(part)]:
                yield index, np.concatenate(ids)


def _flat_layout(
    file: SourceFile, stream: BinaryIO
) -> tuple[np.dtype[Any], tuple[int, ...] | None]:
    """Return the integers, and the array's shape where there is a header that says one."""
    if file.format == "tokens":
        return np.dtype(file.token_dtype), None
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_columns, dtype = read(stream)
    # NumPy evaluates a header of Python literals.
    except _NO_LITERALS as error:
        raise file.malformed(
            f"is no NumPy array: {error}",
            "files without a header, as OLMo's, have the format tokens and need token_dtype",
        ) from error
    if dtype.kind not in "iu" or by_columns or len(shape) not in {1, 2} or min(shape) < 0:
        raise file.malformed(
            f"holds an array of {dtype} with {len(shape)} dimensions",
            "save whole numbers in one dimension, or one document per row",
        )
    if len(shape) == 2 and shape[1] > LONGEST_DOCUMENT:  # noqa: PLR2004
        raise file.malformed(
            f"has rows of {shape[1]} tokens", "save one document per row, or one dimension"
        )
    return dtype, shape


def _chunks(
    file: SourceFile, stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...] | None
) -> Iterator[Tokens]:
    left = sys.maxsize if shape is None else math.prod(shape)
    while content := stream.read(min(_CHUNK_TOKENS, left) * dtype.itemsize):
        if len(content) % dtype.itemsize:
            raise file.malformed(
                f"ends inside of a token of {dtype.itemsize} bytes", "check token_dtype"
            )
        left -= len(content) // dtype.itemsize
        yield np.frombuffer(content, dtype)
    if shape is not None and left:
        raise _cut_off(file)


def _rows(
    file: SourceFile, stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[Tokens]:
    rows, length = shape
    for _ in range(rows if length else 0):
        content = read_up_to(stream, length * dtype.itemsize)
        if len(content) != length * dtype.itemsize:
            raise _cut_off(file)
        yield np.frombuffer(content, dtype)


def _cut_off(file: SourceFile) -> DatasetMalformedError:
    return file.malformed("is cut off", "copy the file again")


def _cut(file: SourceFile, chunks: Iterator[Tokens], end_of_text: int) -> Iterator[Tokens]:
    held: list[Tokens] = []
    for chunk in chunks:
        begin = 0
        for end in (np.flatnonzero(chunk == end_of_text) + 1).tolist():
            yield np.concatenate([*held, chunk[begin:end]])
            held, begin = [], end
        held.append(chunk[begin:])
        if sum(map(len, held)) > LONGEST_DOCUMENT:
            raise file.malformed(
                f"holds {LONGEST_DOCUMENT} tokens without end-of-text (id {end_of_text})",
                "set the tokenizer that the tokens were made with, and check token_dtype",
            )
    if any(map(len, held)):
        yield np.concatenate(held)
