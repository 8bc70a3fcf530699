"""The package's exceptions. Messages name the thing, what was found and what was expected, in one line."""


class AilandError(Exception):
    """Base class of all errors that this package raises deliberately."""

    exit_status = 1


class InputError(AilandError, ValueError):
    """Unusable input from the caller (file, variable, unit, option, array): exit status 2."""

    exit_status = 2


class RunError(AilandError, RuntimeError):
    """A failure while running (compilation, device, writing): exit status 1."""


def reason(error: BaseException) -> str:
    """An exception's message on one line of at most 200 letters, without the path that a system error carries.

    The name of its class where it has no message.
    """
    text = " ".join(str((isinstance(error, OSError) and error.strerror) or error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
