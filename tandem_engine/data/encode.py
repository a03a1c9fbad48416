"""From documents to token ids: texts end with end-of-text, conversations carry their loss mask."""

from collections.abc import Sequence

import numpy as np

from tandem_engine.data.chat import ChatTemplateError, pieces_of
from tandem_engine.data.examples import Ids, fitted, unlearned
from tandem_engine.data.sources import Document
from tandem_engine.data.tokenise import TokenArray, Tokenizer, token_dtype
from tandem_engine.errors import DatasetMalformedError


def encode_texts(documents: Sequence[Document], tokenizer: Tokenizer) -> list[TokenArray]:
    """Return the ids of each text with end-of-text."""
    dtype = token_dtype(tokenizer.vocabulary_size)
    end = np.array([tokenizer.end_of_text], dtype=dtype)
    encoded = tokenizer.encode_batch([document.text for document in documents])
    return [np.concatenate([ids.astype(dtype, copy=False), end]) for ids in encoded]


def encode_conversations(
    documents: Sequence[Document], tokenizer: Tokenizer, row_tokens: int, *, field: str
) -> list[Ids]:
    """Return the coded ids of each conversation.

    End-of-text follows the last response, unless the template has written it already.

    Args:
        documents: Conversations.
        tokenizer: Makes the tokens and has the chat template.
        row_tokens: Longest row, context_length + 1.
        field: Where the documents stand in the specification, for the error.

    Raises:
        DatasetMalformedError: the chat template cannot render a conversation piece by piece, or
            leaves nothing of its responses.
    """
    by_document = []
    for document in documents:
        try:
            by_document.append(pieces_of(document.messages, tokenizer.chat_template))
        except ChatTemplateError as error:
            hint = (
                "give the tokenizer a chat template whose rendering of a conversation starts with "
                "the rendering of its beginning"
            )
            raise _malformed(document, error, field, hint) from error
    pieces = [piece for of_document in by_document for piece in of_document]
    encoded = iter(tokenizer.encode_batch([piece.text for piece in pieces]))
    conversations: list[Ids] = []
    for document, of_document in zip(documents, by_document, strict=True):
        parts = []
        for piece in of_document:
            ids = next(encoded).astype(np.int32)
            parts.append(ids if piece.learned else unlearned(ids))
        if of_document and not tokenizer.ends(of_document[-1].text):
            parts.append(np.array([tokenizer.end_of_text], dtype=np.int32))
        whole = np.concatenate([np.empty(0, dtype=np.int32), *parts])
        try:
            conversations.append(fitted(whole, row_tokens))
        except ValueError as error:
            raise _malformed(document, error, field, "remove the record") from error
    return conversations


def _malformed(
    document: Document, error: ValueError, field: str, hint: str
) -> DatasetMalformedError:
    return DatasetMalformedError(
        f"{document.uri}, record {document.index + 1}: {error}",
        field=field,
        value=document.uri,
        hint=hint,
    )
