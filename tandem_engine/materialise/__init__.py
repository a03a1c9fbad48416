"""Writes the corpus that a manifest describes: resampled, shuffled, in the format of a trainer."""
