"""Numbers for Prometheus: of the requests of this process, and of all jobs from the database."""
