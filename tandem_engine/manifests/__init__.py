"""Resampling manifests: which documents a trainer reads, and how often."""
