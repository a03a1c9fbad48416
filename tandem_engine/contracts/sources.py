"""Where documents lie and what their records look like; domains and targets share it."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tandem_engine.contracts.base import Contract

SOURCE_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._()/+-]{0,127}$"

RecordKind = Literal["text", "messages", "prompt_completion"]


class SourceSpec(Contract):
    """Files of documents under a name."""

    section: ClassVar[str] = "domains"
    """Field of the job's specification that lists sources of this kind."""

    name: str = Field(pattern=SOURCE_NAME, description="Unique name.", examples=["manuals"])
    uris: list[str] = Field(
        min_length=1,
        max_length=1000,
        description="Files: absolute paths or `file://` URIs.",
        examples=[["file:///data/manuals.jsonl"]],
    )
    format: Literal["auto", "jsonl", "parquet", "text"] = Field(
        default="auto",
        description="File format; `auto` goes by the file's ending. A text file is one document.",
        examples=["jsonl"],
    )
    text_field: str = Field(
        default="text",
        min_length=1,
        description="Field (JSON lines) or column (Parquet) that holds a document's text.",
        examples=["text"],
    )
    records: RecordKind = Field(
        default="text",
        description="What a record is: `text`, one field of text; `messages`, a conversation in "
        "the field `messages`, each with `role` and `content`; `prompt_completion`, fields "
        "`prompt` and `completion`, each a text or a list of messages. The last two are for the "
        "scenario `sft`, where only responses bear loss.",
        examples=["text"],
    )

    @field_validator("uris")
    @classmethod
    def _are_local_and_unique(cls, uris: list[str]) -> list[str]:
        for uri in uris:
            if not uri.startswith(("/", "file:///")):
                msg = f"{uri!r} is neither an absolute path nor a file:// URI"
                raise ValueError(msg)
            if "\0" in uri:
                raise ValueError("a URI holds a NUL character; remove it")
        if len(set(uris)) != len(uris):
            raise ValueError("the same URI is listed twice; list it once")
        return uris
