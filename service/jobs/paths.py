"""What the endpoints of a job share: its path parameter and the way answers are documented."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel

from service.jobs.schemas import JOB_ID

JobIdPath = Annotated[str, Path(max_length=100, description="Id of the job.", examples=[JOB_ID])]

NOT_MODIFIED: dict[str, Any] = {"description": "`If-None-Match` still holds; no body."}


def model_example(model: type[BaseModel]) -> dict[str, Any]:
    """Return the first examples of a model's fields, as one example of the whole."""
    return {name: field.examples[0] for name, field in model.model_fields.items() if field.examples}


def json_example(model: type[BaseModel], description: str) -> dict[str, Any]:
    """Return the OpenAPI response of a model with an example."""
    return {
        "model": model,
        "description": description,
        "content": {"application/json": {"example": model_example(model)}},
    }
