"""The demonstration: real text out of installed packages, one job, one report."""
