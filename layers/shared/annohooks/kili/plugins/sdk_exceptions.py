"""The errors of kili.exceptions that plugins catch, and the errors of what is not possible in this webhook."""

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
    """Kili may have made a change or not: its answer was lost."""


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
    """A plugin uses something that this webhook does not have. The text is for its author, and is logged.

    It never contains parts of a label.
    """


class NoSuchMethod(NotPossibleHere, AttributeError):
    """`self.kili` has no such attribute."""


class NoSuchArgument(NotPossibleHere, TypeError):
    """The method does not have this argument."""


class WrongArgument(NotPossibleHere, ValueError):
    """The method does not accept this value."""


class MissingArgument(NotPossibleHere, MissingArgumentError):
    """The method needs another argument."""


def annohooks_error(error: BaseException) -> errors.AnnohooksError | None:
    """The cause of an error that `as_sdk_errors` raised; None for any other error."""
    if isinstance(error, (GraphQLError, MutationOutcomeUnknownError, NotFound)):
        cause = error.__cause__
        return cause if isinstance(cause, errors.AnnohooksError) else None
    return None


@contextmanager
def as_sdk_errors() -> Iterator[None]:
    """Raises errors of Kili's API as the SDK would raise them, with the original error as the cause."""
    try:
        yield
    except Refused as error:
        raise GraphQLError(error.detail) from error
    except OutcomeUnknown as error:
        raise MutationOutcomeUnknownError(error.message) from error
    except errors.NotFound as error:
        raise NotFound(error.message) from error
