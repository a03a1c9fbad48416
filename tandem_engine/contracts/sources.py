"""Where documents lie and what their records look like; domains and targets share it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract
from tandem_engine.contracts.uris import parse_uri

SOURCE_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._()/+-]{0,127}$"

RecordKind = Literal["text", "messages", "prompt_completion"]
FileFormat = Literal[
    "jsonl", "parquet", "arrow", "text", "lines", "mds", "megatron", "npy", "tokens"
]
TokenWidth = Literal["uint8", "uint16", "uint32", "int32", "int64"]


class SourceSpec(Contract):
    """Files of documents under a name."""

    section: ClassVar[str] = "domains"
    """Field of the job's specification that lists sources of this kind."""

    name: str = Field(pattern=SOURCE_NAME, description="Unique name.", examples=["manuals"])
    uris: list[str] = Field(
        min_length=1,
        max_length=1000,
        description="Files: absolute paths or URIs of the schemes file, s3, gs, az, https, http "
        "and hf (`hf://datasets/owner/name@revision/path`). `*`, `?`, `[...]` and `**` match "
        "several files, except over HTTP. A folder is read where it is a saved Hugging Face "
        "dataset or MDS. Credentials are the worker's own.",
        examples=[["s3://corpora/manuals/*.jsonl.zst"]],
    )
    format: Literal["auto"] | FileFormat = Field(
        default="auto",
        description="File format; `auto` goes by the file's ending, `.gz` and `.zst` aside. `text` "
        "is one document per file, `lines` one per line. Of tokens that are there already: "
        "`megatron` (.bin with .idx), `npy` (an array) and `tokens` (flat, of `token_dtype`), "
        "the last two cut into documents after each end-of-text.",
        examples=["jsonl"],
    )
    token_dtype: TokenWidth | None = Field(
        default=None,
        description="Integers that a flat file of tokens consists of; only with `tokens`, which "
        "needs it.",
        examples=["uint16"],
    )
    text_field: str = Field(
        default="text",
        min_length=1,
        description="Field (JSON lines) or column (Parquet, Arrow, MDS) that holds a document's "
        "text; `outer.inner` is a field inside of another.",
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

    skip_malformed: Annotated[int, Field(ge=0, le=10**9)] = Field(
        default=0,
        description="Malformed records that are left out before the job fails; each is counted, "
        "the first ones are named with file and line in the result. A file that is cut off or "
        "damaged as a whole is always an error.",
        examples=[100],
    )

    @field_validator("uris")
    @classmethod
    def _are_known_and_unique(cls, uris: list[str]) -> list[str]:
        for uri in uris:
            parse_uri(uri)
        if len(set(uris)) != len(uris):
            raise ValueError("the same URI is listed twice; list it once")
        return uris

    @model_validator(mode="after")
    def _token_dtype_goes_with_tokens(self) -> Self:
        if (self.format == "tokens") != (self.token_dtype is not None):
            msg = (
                f"{self.section}.{self.name}: format {self.format!r} with token_dtype "
                f"{self.token_dtype!r}; `token_dtype` is needed with format `tokens` and only there"
            )
            raise ValueError(msg)
        return self
