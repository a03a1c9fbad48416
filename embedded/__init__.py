"""Tandem: embedded."""
