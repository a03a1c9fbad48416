"""Tandem: service."""
