"""Conversations out of the records of fine-tuning data.

Two layouts are read, as TRL and most chat data use them: `messages`, a list of turns with `role`
and `content`; and `prompt` with `completion`, each a text or a list of turns. What a model is to
learn are the turns of the role `assistant`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tandem_engine.contracts.sources import RecordKind

ASSISTANT = "assistant"
RECORD_FIELDS: Mapping[RecordKind, tuple[str, ...]] = {
    "messages": ("messages", "choices"),
    "prompt_completion": ("prompt", "completion", "choices"),
}
"""Fields of a record that are read; `choices` only where there is one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of a record, and the completions that it offers to choose from."""

    messages: tuple[Message, ...]
    choices: tuple[str, ...]


class RecordError(ValueError):
    """A record is not what its kind says; `hint` tells how to mend it."""

    def __init__(self, message: str, hint: str) -> None:
        """Take what is wrong and how to mend it."""
        super().__init__(message)
        self.hint = hint


def conversation_of(record: Mapping[str, Any], kind: RecordKind) -> Conversation:
    """Return the conversation of a record of the kind `messages` or `prompt_completion`.

    Raises:
        RecordError: a field is missing or of another type, or no turn is the assistant's.
    """
    if kind == "messages":
        messages = _turns(_required(record, "messages"), "messages")
    else:
        prompt, completion = _required(record, "prompt"), _required(record, "completion")
        messages = _side(prompt, "prompt", role="user")
        messages += _side(completion, "completion", role=ASSISTANT)
    if not any(message.role == ASSISTANT for message in messages):
        raise RecordError(
            f"no turn has the role {ASSISTANT!r}, so there is nothing to learn",
            f"give the turns that the model is to learn the role {ASSISTANT!r}",
        )
    return Conversation(tuple(messages), _choices(record.get("choices")))


def _required(record: Mapping[str, Any], name: str) -> Any:
    if record.get(name) is None:
        there = ", ".join(repr(key) for key in list(record)[:10]) or "none"
        raise RecordError(
            f"has no field {name!r}; it has {there}",
            "set `records` to what the file holds, or add the field",
        )
    return record[name]


def _side(value: Any, name: str, *, role: str) -> list[Message]:
    return [Message(role, _text(value, name))] if isinstance(value, str) else _turns(value, name)


def _turns(value: Any, name: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise RecordError(
            f"{name!r} is of type {type(value).__name__}, not a list of turns with one or more",
            'write it as [{"role": "user", "content": "..."}, ...]',
        )
    messages = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, dict) or not {"role", "content"} <= turn.keys():
            raise RecordError(
                f"turn {number} of {name!r} has no `role` and `content`",
                'write each turn as {"role": "user", "content": "..."}',
            )
        where = f"turn {number} of {name!r}"
        messages.append(Message(_text(turn["role"], where), _text(turn["content"], where)))
    return messages


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RecordError(
            f"{where} holds a value of type {type(value).__name__}, not a string",
            "only texts can be trained on: write the value as a string, or remove the record",
        )
    try:
        value.encode("utf-8")  # JSON may hold half of a surrogate pair, which is no text
    except UnicodeEncodeError as error:
        raise RecordError(
            f"{where} holds a lone surrogate, which UTF-8 cannot write",
            "replace the escape \\udXXX by the character that was meant",
        ) from error
    return value


def _choices(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RecordError(
            f"'choices' is of type {type(value).__name__}, not a list of texts",
            'write it as ["...", "..."]',
        )
    choices = tuple(_text(choice, "'choices'") for choice in value)
    if not all(choice.strip() for choice in choices):
        raise RecordError("a choice in 'choices' is blank", "remove it, or write what it is")
    return choices
