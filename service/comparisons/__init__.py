"""Comparisons of methods: their jobs, tables and reports."""
