"""What can be wrong with a file, as an exception that the inspection turns into a field problem."""


class DatasetProblem(Exception):  # noqa: N818 - it is collected and listed, not a failure of ours
    """One file cannot be used; `code` is one of `tandem_engine.errors`."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        """Say what is wrong and what to do."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
