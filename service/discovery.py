"""Presets and versions: what this service can do."""

import platform
from importlib.metadata import version as distribution_version
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.db.migrate import head_revision
from service.dependencies import CallerDep
from service.errors import DatabaseUnavailableError, UnauthorizedError
from service.jobs.paths import json_example
from service.problems import documented
from tandem_engine.presets import DEFAULT_PRESET, PRESETS

router = APIRouter(prefix="/v1", tags=["discovery"])
_PROBLEMS = documented(UnauthorizedError, DatabaseUnavailableError)


class PresetRead(BaseModel):
    """A named set of settings."""

    name: str = Field(description="Give it as `spec.preset`.", examples=["tiny-restricted"])
    description: str = Field(
        description="What it is for.", examples=["Half a million parameters on bytes."]
    )
    default_of: list[str] = Field(
        description="Scenarios that use it when `spec.preset` is null.",
        examples=[["data_restricted"]],
    )
    settings: dict[str, Any] = Field(
        description="Fields of the specification that it sets; what you set yourself wins.",
        examples=[{"training": {"batch_size": 16, "context_length": 128}}],
    )


class PresetList(BaseModel):
    """All presets."""

    object: Literal["list"] = Field(
        default="list", description="Kind of this object.", examples=["list"]
    )
    data: list[PresetRead] = Field(
        description="The presets.",
        examples=[
            [
                {
                    "name": "tiny-restricted",
                    "description": "Half a million parameters on bytes.",
                    "default_of": ["data_restricted"],
                    "settings": {"training": {"batch_size": 16, "context_length": 128}},
                }
            ]
        ],
    )


class VersionRead(BaseModel):
    """What runs here."""

    object: Literal["version"] = Field(
        default="version", description="Kind of this object.", examples=["version"]
    )
    version: str = Field(description="Of the service.", examples=["0.1.0"])
    api: Literal["v1"] = Field(default="v1", description="Of the interface.", examples=["v1"])
    python: str = Field(description="Of the interpreter.", examples=["3.11.7"])
    schema_revision: str = Field(
        description="Database revision that this release needs.", examples=["0001"]
    )


@router.get(
    "/presets",
    summary="List presets",
    responses={200: json_example(PresetList, "All presets."), **_PROBLEMS},
)
def presets(_: CallerDep) -> PresetList:
    """List the named settings that a specification can start from."""
    return PresetList(
        data=[
            PresetRead(
                name=name,
                description=" ".join((preset.__doc__ or "").split()),
                default_of=[scenario for scenario, own in DEFAULT_PRESET.items() if own == name],
                settings=preset(),
            )
            for name, preset in PRESETS.items()
        ]
    )


@router.get(
    "/version",
    summary="Read the version",
    responses={200: json_example(VersionRead, "What runs here."), **_PROBLEMS},
)
def version(_: CallerDep) -> VersionRead:
    """Read the versions of service, interface, interpreter and database schema."""
    return VersionRead(
        version=distribution_version("tandem-mix"),
        python=platform.python_version(),
        schema_revision=head_revision(),
    )
