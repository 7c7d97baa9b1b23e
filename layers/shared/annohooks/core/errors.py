"""The errors a caller may be shown: each has an HTTP status and a message fit for a user."""

from typing import ClassVar


class AnnohooksError(Exception):
    """Anything that ends a request in a way the caller is told about.

    message: a sentence for the person who pressed the button. It never holds a token, a secret, a name or a URL.
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(AnnohooksError):
    """The request cannot be understood, or asks for what does not exist."""

    status = 400


class Unauthorized(AnnohooksError):
    """The shared secret is missing or wrong."""

    status = 401


class Forbidden(AnnohooksError):
    """The request names a server that is not allowed here."""

    status = 403


class NotFound(AnnohooksError):
    """What the request is about is not there."""

    status = 404


class TooLarge(AnnohooksError):
    """More than this deployment accepts."""

    status = 413


class Upstream(AnnohooksError):
    """The platform failed us."""

    status = 502


class UpstreamTimeout(Upstream):
    """The platform did not answer in time."""


class UpstreamStatus(Upstream):
    """The platform answered with a status we cannot use."""

    def __init__(self, message: str, reply_status: int) -> None:
        super().__init__(message)
        self.reply_status = reply_status


class Unavailable(AnnohooksError):
    """Something of our own is out of order; the same request may succeed later."""

    status = 503


class DeadlineExceeded(AnnohooksError):
    """The time given to this request is used up."""

    status = 504


class SettingsError(Exception):
    """The deployment is configured wrongly. Names the environment variable, never its value."""
