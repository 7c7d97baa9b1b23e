"""Shared secrets: they decide who may call a webhook."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from annohooks.core.errors import Unauthorized, Unavailable
from annohooks.core.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

_SECRETS_AT_ONCE = 2
_SHORTEST_SECRET = 16


def authenticate(secret: str | None, accepted: Sequence[str]) -> None:
    """Raises Unauthorized unless the secret is one of the accepted ones. Takes equally long for every wrong secret.

    Refuses an empty secret, and every secret when none is accepted.
    """
    digest = _digest(secret or "")
    # Compares with every accepted secret, even after a match: the time must not tell which one matched.
    matches = [hmac.compare_digest(digest, _digest(candidate)) for candidate in accepted if candidate]
    if not secret or not any(matches):
        raise Unauthorized("The secret is missing or wrong.")


def _digest(text: str) -> bytes:
    """A digest, so that the comparison does not reveal the length of a secret. JSON can hold a lone surrogate."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def basic_password(authorization: str | None) -> str | None:
    """The password in an Authorization header with Basic credentials; None for any other header. Source: RFC 7617."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None


def secrets_from_ssm(parameter: str, max_age_s: int = 300) -> tuple[str, ...]:
    """The secrets in a SecureString parameter: one, or two while one replaces the other, separated by white space.

    Keeps them for max_age_s seconds. Fails closed: returns no secrets and logs an error if the parameter is missing, or
    holds anything but one or two secrets of at least 16 characters. Raises Unavailable if SSM does not answer or may
    not be read.
    """
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    try:
        text = ssm().get(parameter, max_age=max_age_s, decrypt=True)
    except GetParameterError as error:
        reason = type(error.__context__).__name__
        logger.error("the secret cannot be read", extra={"parameter": parameter, "reason": reason})
        if reason == "ParameterNotFound":
            return ()
        raise Unavailable("The secret of this webhook cannot be read at the moment.") from None
    secrets = tuple(str(text).split())
    if not 0 < len(secrets) <= _SECRETS_AT_ONCE or min(map(len, secrets)) < _SHORTEST_SECRET:
        logger.error(
            "the parameter must hold one or two secrets of at least 16 characters", extra={"parameter": parameter}
        )
        return ()
    return secrets


@cache
def ssm() -> "SSMProvider":
    """The provider of SSM parameters. Made at the first call: it imports boto3, which would delay every cold start."""
    import boto3
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
    # Without a client of ours, the provider would make a boto3 session of its own.
    return SSMProvider(boto3_client=boto3.client("ssm", config=config))
