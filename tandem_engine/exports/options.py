"""What an export may be told about the trainer that will read it."""

from typing import Annotated, Literal

from pydantic import Field

from tandem_engine.contracts.base import Contract, Count


class ExportOptions(Contract):
    """Where the trainer's data lies, how it cuts documents, and how much repetition is too much."""

    path_template: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="Where the trainer finds a domain's data: a path or URI with `{slug}` (the "
        "domain's name for paths) or `{domain}`; null is the job's own files where the trainer "
        "reads their format, and `data/{slug}...` elsewhere.",
        examples=["s3://corpora/tokenised/{slug}"],
    )
    target_tokens: Count | None = Field(
        default=None,
        description="Tokens to train on, in the unit of the manifest; null is its own target.",
        examples=[1_000_000],
    )
    sequence_length: Annotated[int, Field(ge=1, le=10**8)] = Field(
        default=2048,
        description="Tokens of a sequence, of trainers that cut the joined documents into equal "
        "sequences.",
        examples=[4096],
    )
    packed: bool = Field(
        default=False,
        description="Of trainers that take both, whether a sample is a sequence of "
        "`sequence_length` tokens of joined documents; false: it is a document.",
        examples=[True],
    )
    truncate_tokens: Annotated[int, Field(ge=1, le=10**8)] | None = Field(
        default=None,
        description="Tokens after which the trainer cuts a document off (`max_seq_len`, "
        "`cutoff_len`, `max_length`); null: it does not.",
        examples=[2048],
    )
    counted_by: Literal["auto", "job", "consumer"] = Field(
        default="auto",
        description="Whose tokenizer documents are counted with; `auto` is the trainer's "
        "(`manifest.consumer`) where it was measured, else the job's.",
        examples=["auto"],
    )
    max_epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Most passes over a domain; null is each domain's `maximum_epochs`.",
        examples=[4.0],
    )
    above_cap: Literal["refuse", "flag"] = Field(
        default="refuse",
        description="What happens when a domain needs more passes than that: no export, or a "
        "warning.",
        examples=["refuse"],
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None,
        description="Seed of the trainer's drawing and shuffling; null is the manifest's.",
        examples=[17],
    )
