"""Tandem: worker."""
