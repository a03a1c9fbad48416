"""Real servers for a machine without Docker: start or attach, supervise, stop."""
