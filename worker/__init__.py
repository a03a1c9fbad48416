"""Turns a message into a finished job: lease, engine process, records, outcome."""
