"""What a caller did wrong, or what is out of reach. Each door maps these to its own answers."""


class LemlineError(Exception):
    """Base of what the operations raise to their callers."""


class NotFoundError(LemlineError):
    """No such definition, version, instance or key."""


class ConflictError(LemlineError):
    """It contradicts what is there; the message says what is there."""


class OperationRefusedError(LemlineError):
    """The instance's phase does not allow the verb; the message names the phases that do."""


class InvalidRequestError(LemlineError):
    """A value that cannot be read or is out of range."""

    def __init__(self, message: str, *, errors: tuple[dict[str, object], ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors
        """One object per mistake: `pointer` or `parameter`, `message`, what is allowed."""


class TooLargeError(LemlineError):
    """A text is over its limit; the message says the limit and the key that sets it."""

    def __init__(self, message: str, *, errors: tuple[dict[str, object], ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors
        """One object per text where several were sent: `index`, `pointer`, `message`."""


class UnavailableError(LemlineError):
    """The database cannot be reached; try again after `retry_after_seconds`."""

    retry_after_seconds = 2


class OverloadedError(LemlineError):
    """More was asked for than is taken at this moment; nothing was done. Try again after `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
