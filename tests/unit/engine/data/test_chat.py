"""What of a conversation is read and what is learned."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.contracts.conversations import Message
from tandem_engine.data.chat import ChatTemplateError, Piece, pieces_of, plain_template

ROLES = st.sampled_from(["system", "user", "assistant"])


def test_only_the_response_is_learned_and_the_mark_before_it_is_read() -> None:
    messages = [Message("user", "hi"), Message("assistant", "hello")]
    assert pieces_of(messages, plain_template) == [
        Piece("<|user|>\nhi\n<|assistant|>\n", learned=False),
        Piece("hello\n", learned=True),
    ]


def test_every_response_of_a_longer_conversation_is_learned() -> None:
    messages = [Message(role, role[0]) for role in ("user", "assistant", "user", "assistant")]
    learned = [piece.text for piece in pieces_of(messages, plain_template) if piece.learned]
    assert learned == ["a\n", "a\n"]


def test_what_follows_the_last_response_is_left_out() -> None:
    messages = [Message("user", "q"), Message("assistant", "r"), Message("user", "bye")]
    assert "bye" not in "".join(piece.text for piece in pieces_of(messages, plain_template))


@given(st.lists(st.builds(Message, ROLES, st.text(max_size=8)), max_size=6))
def test_the_pieces_are_the_rendering_up_to_the_last_response(messages: list[Message]) -> None:
    pieces = pieces_of(messages, plain_template)
    responses = [place for place, message in enumerate(messages) if message.role == "assistant"]
    end = responses[-1] + 1 if responses else 0
    assert "".join(piece.text for piece in pieces) == plain_template(messages[:end], False)
    assert [piece.text for piece in pieces if piece.learned] == [
        f"{messages[place].content}\n" for place in responses
    ]


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    def counting(messages: Sequence[Message], ask: bool) -> str:  # noqa: FBT001
        return f"{len(messages)}" + plain_template(messages, ask)

    messages = [Message("user", "q"), Message("assistant", "r")]
    with pytest.raises(ChatTemplateError, match="turn 2"):
        pieces_of(messages, counting)
