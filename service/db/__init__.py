"""Engine, sessions and the declarative base of every table."""
