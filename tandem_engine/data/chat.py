"""A conversation as pieces of text, each of which the model either reads or learns to write.

The text is what the tokenizer's chat template makes of the conversation. A response begins where
the template's rendering of all that came before ends, with the mark that asks for an answer, and
ends where the rendering with the response ends: so the mark is read, and what closes the turn is
learned. Each piece is tokenised by itself, as at generation, where the prompt ends before the
answer begins; hence no token straddles the border.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tandem_engine.contracts.conversations import ASSISTANT, Message

ChatTemplate = Callable[[Sequence[Message], bool], str]
"""Renders turns; the flag asks for the mark after which the assistant would answer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a document; `learned` tells if its tokens bear loss."""

    text: str
    learned: bool


class ChatTemplateError(ValueError):
    """A chat template does not render a conversation as a continuation of its beginning."""


def plain_template(messages: Sequence[Message], ask: bool) -> str:  # noqa: FBT001 - as the library's
    """Render turns as `<|role|>`, the content and a line's end: for tokenizers without a template.

    The model learns the end of a response as the end-of-text token that follows the last one.
    """
    turns = "".join(f"<|{message.role}|>\n{message.content}\n" for message in messages)
    return turns + (f"<|{ASSISTANT}|>\n" if ask else "")


def pieces_of(messages: Sequence[Message], template: ChatTemplate) -> list[Piece]:
    """Return the pieces of a conversation; what follows the last response is left out.

    Raises:
        ChatTemplateError: the rendering of a beginning is no beginning of the rendering.
    """
    pieces: list[Piece] = []
    done = ""
    for place, message in enumerate(messages):
        if message.role != ASSISTANT:
            continue
        before = template(messages[:place], True)
        after = template(messages[: place + 1], False)
        if not (before.startswith(done) and after.startswith(before)):
            msg = (
                f"the chat template does not render turn {place + 1} as a continuation of the "
                "turns before it, so it cannot be told where the response begins"
            )
            raise ChatTemplateError(msg)
        pieces.append(Piece(before[len(done) :], learned=False))
        pieces.append(Piece(after[len(before) :], learned=True))
        done = after
    return [piece for piece in pieces if piece.text]
