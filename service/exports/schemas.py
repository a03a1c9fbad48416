"""Exports as the interface shows them, and what a caller may say about the trainer."""

import hashlib
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, Field

from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.registry import EXPORTERS, WrittenExport

_MEDIA_TYPES = {
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".csv": "text/csv",
    ".py": "text/x-python",
    ".md": "text/markdown",
}
_FORMAT_EXAMPLE = {
    "name": "megatron",
    "title": "Megatron-LM / Megatron Core: per-split JSON and list",
    "counts": "tokens",
    "source": "NVIDIA/Megatron-LM d98e8a64 megatron/core/datasets/utils.py",
}


class MixtureQuery(ExportOptions):
    """The mixture as it is, or in a trainer's format; without `format` the rest says nothing."""

    format: str | None = Field(
        default=None,
        max_length=40,
        description="A trainer's format (`GET /v1/export-formats`): the answer is the file that "
        "the trainer loads. Without, the mixture with its verdict as JSON.",
        examples=["megatron"],
    )
    file: str | None = Field(
        default=None,
        max_length=100,
        description="Another file of the format, for example `NOTES.md`; only with `format`.",
        examples=["blend.txt"],
    )


class ExportFormatRead(BaseModel):
    """A trainer's format."""

    name: str = Field(description="Give it as `format`.", examples=["megatron"])
    title: str = Field(
        description="The trainer, and what is written.", examples=["Megatron Core: blend"]
    )
    counts: Literal["tokens", "documents", "passes", "any"] = Field(
        description="What a weight counts there; shares are converted to it.", examples=["tokens"]
    )
    source: str = Field(
        description="What the format was written from.",
        examples=["NVIDIA/Megatron-LM d98e8a64 megatron/core/datasets/utils.py"],
    )


class ExportFormatList(BaseModel):
    """All formats."""

    object: Literal["list"] = Field(default="list", description="A list.", examples=["list"])
    data: list[ExportFormatRead] = Field(
        description="In no order that matters.", examples=[[_FORMAT_EXAMPLE]]
    )


class ExportFileRead(BaseModel):
    """A file of an export."""

    name: str = Field(description="Its name.", examples=["blend.json"])
    media_type: str = Field(description="What it is.", examples=["application/json"])
    sha256: str = Field(
        description="Of its UTF-8 bytes.",
        examples=["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    )
    content: str = Field(description="The text.", examples=['{"train": ["0.6", "/data/code"]}'])


class ExportRead(BaseModel):
    """The mixture for a trainer: its files, how to load them, what to beware of."""

    object: Literal["export"] = Field(
        default="export", description="Kind of this object.", examples=["export"]
    )
    job_id: str = Field(description="The job.", examples=["job_01jd8v5m3k2f7q9x4w6z0abcde"])
    mixture_id: str = Field(
        description="Name of the manifest by its content.", examples=["mix_0123456789abcdef0123"]
    )
    format: ExportFormatRead = Field(description="The format.", examples=[_FORMAT_EXAMPLE])
    primary: str = Field(description="The file that the trainer loads.", examples=["blend.json"])
    files: list[ExportFileRead] = Field(
        description="The primary one first, `NOTES.md` last.",
        examples=[
            [
                {
                    "name": "blend.json",
                    "media_type": "application/json",
                    "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                    "content": "{}",
                }
            ]
        ],
    )
    usage: list[str] = Field(
        description="How the trainer is told to load it.",
        examples=[["pass --per-split-data-args-path blend.json"]],
    )
    warnings: list[str] = Field(
        description="Where the trainer may read another mixture than this one.",
        examples=[["domain 'code' is read 5.2 times"]],
    )


def media_type(name: str) -> str:
    """Return the media type of a file by its ending."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix, "text/plain")


def all_formats() -> ExportFormatList:
    """Return every format that there is."""
    return ExportFormatList(data=[_format(name) for name in EXPORTERS])


def read_export(job_id: str, made: WrittenExport) -> ExportRead:
    """Return an export as the interface shows it."""
    return ExportRead(
        job_id=job_id,
        mixture_id=made.plan.mixture_id,
        format=_format(made.exporter.name),
        primary=made.primary,
        files=[
            ExportFileRead(
                name=name,
                media_type=media_type(name),
                sha256=hashlib.sha256(content.encode()).hexdigest(),
                content=content,
            )
            for name, content in made.files.items()
        ],
        usage=list(made.usage),
        warnings=list(made.warnings),
    )


def _format(name: str) -> ExportFormatRead:
    exporter = EXPORTERS[name]
    return ExportFormatRead(
        name=exporter.name, title=exporter.title, counts=exporter.counts, source=exporter.source
    )
