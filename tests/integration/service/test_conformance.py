"""The application against its own OpenAPI document, by generated requests."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.api import Api

from service.app import create_app
from service.settings import Settings

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def _operations() -> list[str]:
    unused = Settings(database_url="postgresql://x/x", redis_url="redis://x", data_dir=Path("x"))
    document = create_app(unused).openapi()
    return [
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    ]


# Nothing of these can be wrong: they take nothing.
PLAIN = {"GET /healthz", "GET /readyz"}
CASES = [
    (mode, operation)
    for mode in ("positive", "negative")
    for operation in _operations()
    if mode == "positive" or operation not in PLAIN
]


@pytest.mark.parametrize(("mode", "operation"), CASES)
def test_answers_are_what_the_document_says(api: Api, mode: str, operation: str) -> None:
    app: Any = api.client.app
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    method, path = operation.split()
    generation = schemathesis.GenerationMode(mode)
    headers = {"Authorization": api.client.headers["Authorization"]}

    @given(case=schema[path][method].as_strategy(generation_mode=generation))
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    check()
