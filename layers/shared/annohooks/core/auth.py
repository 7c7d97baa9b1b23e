"""Shared secrets: who may call."""

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


def authenticate(given: str | None, accepted: Sequence[str]) -> None:
    """Raises Unauthorized unless `given` is one of the accepted secrets. Takes as long for any wrong secret.

    An empty secret is never right, and with none configured nobody is let in.
    """
    digest = _digest(given or "")
    # Every secret is compared, whether or not one before it matched.
    matches = [hmac.compare_digest(digest, _digest(secret)) for secret in accepted if secret]
    if not given or not any(matches):
        raise Unauthorized("The secret is missing or wrong.")


def _digest(text: str) -> bytes:
    """Of one length for all secrets, so that the comparison does not tell theirs. JSON can hold a lone surrogate."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def basic_password(authorization: str | None) -> str | None:
    """The password of an Authorization header with Basic credentials; None for any other. Source: RFC 7617."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None


def secrets_from_ssm(parameter: str, max_age_s: int = 300) -> tuple[str, ...]:
    """The secrets in a SecureString parameter: one, or two while one replaces the other, separated by white space.

    Cached for `max_age_s` seconds. Fails closed: if the parameter is missing, or holds anything but one or two
    secrets of at least 16 characters, the error is logged and there are none. Raises Unavailable if SSM does not answer
    or may not be read.
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
    """Made when first needed: it imports boto3, which no import of a function should wait for."""
    import boto3
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
    # The provider would make a session of its own, and every other client its session anew.
    return SSMProvider(boto3_client=boto3.client("ssm", config=config))
