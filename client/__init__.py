"""Tandem: client."""
