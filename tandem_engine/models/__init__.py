"""Causal language models, built from a `transformers` configuration."""
