"""The errors that a caller may see: every one has an HTTP status and a message for a user."""

from typing import ClassVar


class AnnohooksError(Exception):
    """An error that ends a request and whose message the caller sees.

    message: a sentence for the person who sent the request. It never holds a token, a secret, a name or a URL.
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(AnnohooksError):
    """The request cannot be understood, or asks for something that does not exist."""

    status = 400


class Unauthorized(AnnohooksError):
    """The shared secret is missing or wrong."""

    status = 401


class Forbidden(AnnohooksError):
    """The request names a server that is not allowed here."""

    status = 403


class NotFound(AnnohooksError):
    """The object of the request does not exist."""

    status = 404


class TooLarge(AnnohooksError):
    """The request is larger than this deployment accepts."""

    status = 413


class Upstream(AnnohooksError):
    """The platform's server failed."""

    status = 502


class UpstreamTimeout(Upstream):
    """The platform did not answer in time."""


class UpstreamStatus(Upstream):
    """The platform answered with an HTTP status that is an error here."""

    def __init__(self, message: str, reply_status: int) -> None:
        super().__init__(message)
        self.reply_status = reply_status


class Unavailable(AnnohooksError):
    """A part of this deployment does not work at the moment. The same request may succeed later."""

    status = 503


class DeadlineExceeded(AnnohooksError):
    """The time given to this request is used up."""

    status = 504


class SettingsError(Exception):
    """The deployment is configured wrongly. The message names the environment variable, never its value."""
