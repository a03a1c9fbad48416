"""Alembic revisions: expand first, contract in a later release."""
