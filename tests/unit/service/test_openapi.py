"""The OpenAPI document tells a caller everything: a test walks it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.jobs.result_schemas import ResultRead
from service.problems import Problem
from service.settings import Settings
from tandem_engine.contracts.records import ResultRecord

Document = dict[str, Any]
BINARY = {"application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"}


@pytest.fixture(scope="module")
def document() -> Document:
    settings = Settings(database_url="postgresql://x/x", redis_url="redis://x", data_dir=Path("x"))
    return create_app(settings).openapi()


def _operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_field_of_every_schema_has_a_description_and_an_example(
    document: Document,
) -> None:
    missing = [
        f"{name}.{field} lacks {wanted}"
        for name, schema in document["components"]["schemas"].items()
        for field, definition in schema.get("properties", {}).items()
        for wanted in ("description", "examples")
        if wanted not in definition
    ]
    assert missing == []


def test_every_endpoint_says_what_it_does_with_examples(document: Document) -> None:
    missing = []
    for name, operation in _operations(document):
        wanted = ("summary", "description", "tags")
        missing += [f"{name} lacks a {word}" for word in wanted if not operation.get(word)]
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if kind not in BINARY and not (content.get("example") or content.get("examples")):
                    missing.append(f"{name} {status} {kind} lacks an example")
        for parameter in operation.get("parameters", []):
            where = f"{name} {parameter['name']}"
            if not parameter.get("description"):
                missing.append(f"{where} lacks a description")
            if not parameter["schema"].get("examples"):
                missing.append(f"{where} lacks an example")
    assert missing == []


def test_every_error_is_documented_as_a_problem(document: Document) -> None:
    for name, operation in _operations(document):
        errors = {
            status: response
            for status, response in operation["responses"].items()
            if int(status) >= 400 and "readyz" not in name
        }
        for response in errors.values():
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            for example in content["examples"].values():
                Problem.model_validate(example["value"])
        if "/v1/" in name:
            assert {"401", "503"} <= set(errors), name
            assert operation["security"] == [{"ApiKey": []}], name
        if "{job_id}" in name:
            assert "404" in errors, name


def test_every_reference_leads_somewhere(document: Document) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_the_shown_result_has_the_fields_of_the_engines() -> None:
    assert set(ResultRead.model_fields) == set(ResultRecord.model_fields) - {"type"}
    for name, field in ResultRead.model_fields.items():
        own = ResultRecord.model_fields[name].annotation
        for shown, found in zip(_models(field.annotation), _models(own), strict=True):
            assert set(shown.model_fields) == set(found.model_fields), name


def _models(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in inner for model in _models(part)]
