"""Measurements that take minutes to hours: quality of mixtures, speed and memory."""
