"""Checks of the files that a job names, before the job exists."""
