"""Every SQL statement about jobs; functions take a session and never commit."""
