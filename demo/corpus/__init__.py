"""Real text domains, taken at run time from what installed packages carry."""
