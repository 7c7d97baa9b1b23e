"""The errors of kili.exceptions that plugins catch, and the light client's own in their stead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from annohooks.core import errors
from annohooks.kili.api.graphql import OutcomeUnknown, Refused

__all__ = [
    "AuthenticationFailed",
    "DeprecatedArgumentError",
    "GraphQLError",
    "IncompatibleArgumentsError",
    "MissingArgumentError",
    "MutationOutcomeUnknownError",
    "NotFound",
]


class GraphQLError(Exception):
    """Kili answered with an error. error: its text."""

    def __init__(self, error: object, context: object = None) -> None:
        super().__init__(f'GraphQL error: "{error}"')
        self.error = error
        self.context = context


class MutationOutcomeUnknownError(ConnectionError):
    """Kili may have done what was asked, or not."""


class NotFound(Exception):
    """Something is not in Kili."""


class AuthenticationFailed(Exception):
    """Kili does not accept the API key."""


class MissingArgumentError(ValueError):
    """An argument is missing."""


class IncompatibleArgumentsError(ValueError):
    """Two arguments exclude each other."""


class DeprecatedArgumentError(ValueError):
    """An argument is not supported any more."""


class NotPossibleHere(Exception):
    """A plugin asks for what it cannot have here. The text says so to its author and is logged: nothing of a label."""


class NoSuchMethod(NotPossibleHere, AttributeError):
    """The light client has no such attribute."""


class NoSuchArgument(NotPossibleHere, TypeError):
    """The method takes no such argument."""


class WrongArgument(NotPossibleHere, ValueError):
    """The method takes no such value."""


class MissingArgument(NotPossibleHere, MissingArgumentError):
    """The method needs another argument."""


def own(error: BaseException) -> errors.AnnohooksError | None:
    """Our own error behind one that the light client raised; None if it is not one of those."""
    if isinstance(error, (GraphQLError, MutationOutcomeUnknownError, NotFound)):
        cause = error.__cause__
        return cause if isinstance(cause, errors.AnnohooksError) else None
    return None


@contextmanager
def in_the_sdks_words() -> Iterator[None]:
    """What Kili refuses, and what is not there, as the SDK raises it, with our own error as the cause."""
    try:
        yield
    except Refused as error:
        raise GraphQLError(error.detail) from error
    except OutcomeUnknown as error:
        raise MutationOutcomeUnknownError(error.message) from error
    except errors.NotFound as error:
        raise NotFound(error.message) from error
