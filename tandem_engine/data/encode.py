"""From documents to token ids: texts end with end-of-text, conversations carry their loss mask."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tandem_engine.data.chat import ChatTemplateError, pieces_of
from tandem_engine.data.examples import Ids, unlearned
from tandem_engine.data.tokenise import TokenArray, Tokenizer, token_dtype
from tandem_engine.inputs.documents import Document
from tandem_engine.inputs.files import SourceFile


def encode_texts(documents: Sequence[Document], tokenizer: Tokenizer) -> list[TokenArray]:
    """Return the ids of each text with end-of-text."""
    dtype = token_dtype(tokenizer.vocabulary_size)
    end = np.array([tokenizer.end_of_text], dtype=dtype)
    encoded = tokenizer.encode_batch([document.text for document in documents])
    return [np.concatenate([ids.astype(dtype, copy=False), end]) for ids in encoded]


def encode_tokens(document: Document, tokenizer: Tokenizer, file: SourceFile) -> TokenArray:
    """Return the ids of a document that was tokenised before, with end-of-text.

    Raises:
        DatasetMalformedError: an id is not in the tokenizer's vocabulary.
    """
    ids = document.tokens
    if ids is None:
        raise TypeError("the document holds no tokens")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= tokenizer.vocabulary_size:
        wrong = low if low < 0 else high
        raise file.malformed(
            f"record {document.index + 1} holds the id {wrong}, and the vocabulary has "
            f"{tokenizer.vocabulary_size} entries",
            "set the tokenizer that the tokens were made with",
        )
    dtype = token_dtype(tokenizer.vocabulary_size)
    plain = ids.astype(dtype)
    ends = plain[-1] == tokenizer.end_of_text
    return plain if ends else np.append(plain, np.array(tokenizer.end_of_text, dtype=dtype))


def encode_conversation(document: Document, tokenizer: Tokenizer, file: SourceFile) -> Ids:
    """Return the coded ids of a conversation, as long as it is.

    What is learned is what the template marks (`{% generation %}`), or, where it has no marks, what
    it adds for a response. End-of-text follows the last response, unless it is there already.

    Raises:
        DatasetMalformedError: the chat template cannot render the conversation piece by piece.
    """
    marked = tokenizer.encode_marked(document.messages)
    if marked is not None:
        return _coded(*marked, tokenizer.end_of_text)
    try:
        pieces = pieces_of(document.messages, tokenizer.chat_template)
    except ChatTemplateError as error:
        hint = (
            "give the tokenizer a chat template whose rendering of a conversation starts with "
            "the rendering of its beginning"
        )
        raise file.malformed(f"record {document.index + 1}: {error}", hint) from error
    encoded = tokenizer.encode_batch([piece.text for piece in pieces])
    parts: list[Ids] = [np.empty(0, dtype=np.int32)]
    for piece, raw in zip(pieces, encoded, strict=True):
        ids = raw.astype(np.int32)
        parts.append(ids if piece.learned else unlearned(ids))
    if pieces and not tokenizer.ends(pieces[-1].text):
        parts.append(np.array([tokenizer.end_of_text], dtype=np.int32))
    return np.concatenate(parts)


def _coded(ids: TokenArray, learned: npt.NDArray[np.bool_], end_of_text: int) -> Ids:
    """Return coded ids up to the last token that is learned."""
    if not learned.any():
        return np.empty(0, dtype=np.int32)
    end = int(np.flatnonzero(learned)[-1]) + 1
    whole = ids[:end].astype(np.int32)
    coded = np.where(learned[:end], whole, unlearned(whole)).astype(np.int32)
    read = np.flatnonzero(~learned[:end])
    last_response = whole[int(read[-1]) + 1 if read.size else 0 :]
    if end_of_text in last_response:
        return coded
    return np.append(coded, np.int32(end_of_text))
