"""Tandem: demo."""
