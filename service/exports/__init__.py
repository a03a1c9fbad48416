"""Exports of the mixture over HTTP."""
