"""Imports every table, so that `metadata` is complete."""

from sqlalchemy import MetaData

from service.auth import models as auth_models
from service.comparisons import models as comparison_models
from service.db.base import Base
from service.jobs import models as job_models
from service.notifications import models as notification_models

TABLE_MODULES = (auth_models, comparison_models, job_models, notification_models)


def metadata() -> MetaData:
    """Return the description of all tables."""
    return Base.metadata
