"""Python client and the `tandem` command; they know only the HTTP interface."""
