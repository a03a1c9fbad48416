"""Records of fine-tuning data are read as TRL reads them, and a wrong one is named."""

from typing import Any

import pytest

from tandem_engine.contracts.conversations import Message, RecordError, conversation_of

QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "r"}


def test_messages_and_prompt_with_completion_say_the_same() -> None:
    expected = (Message("user", "q"), Message("assistant", "r"))
    by_messages = conversation_of({"messages": [QUESTION, ANSWER]}, "messages")
    by_texts = conversation_of({"prompt": "q", "completion": "r"}, "prompt_completion")
    by_turns = conversation_of({"prompt": [QUESTION], "completion": [ANSWER]}, "prompt_completion")
    assert by_messages.messages == by_texts.messages == by_turns.messages == expected


def test_choices_are_kept() -> None:
    record = {"prompt": "q", "completion": "r", "choices": ["r", "s"]}
    assert conversation_of(record, "prompt_completion").choices == ("r", "s")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"text": "x"}, "has no field 'messages'; it has 'text'"),
        ({"messages": "x"}, "not a list of turns"),
        ({"messages": []}, "not a list of turns"),
        ({"messages": [{"role": "user"}]}, "turn 1 of 'messages' has no `role` and `content`"),
        ({"messages": [QUESTION]}, "no turn has the role 'assistant'"),
        ({"messages": [{"role": "assistant", "content": 3}]}, "type int, not a string"),
        ({"messages": [ANSWER | {"content": "\ud800"}]}, "lone surrogate"),
        ({"messages": [ANSWER], "choices": "r"}, "'choices' is of type str"),
        ({"messages": [ANSWER], "choices": ["r", " "]}, "a choice in 'choices' is blank"),
    ],
)
def test_a_record_that_is_no_conversation_is_named(record: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        conversation_of(record, "messages")
    assert words in str(caught.value)
    assert caught.value.hint
