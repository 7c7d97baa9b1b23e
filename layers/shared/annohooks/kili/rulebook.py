"""Loads the team's rules from a file, S3 or SSM, and loads them again when they are old."""

from __future__ import annotations

import time
from pathlib import Path

from annohooks.core.errors import SettingsError, Unavailable
from annohooks.core.observability import logger
from annohooks.kili import rules
from annohooks.kili.rules import Ruleset

MOST_BYTES = 256_000


class Rulebook:
    """The team's rules, loaded again when they are older than max_age_s.

    source: `rules.yaml` (a path in the function's folder), `s3://bucket/key` or `ssm:/name`. A packaged file is loaded
    at once, the others when they are first needed. If new rules cannot be loaded, the previous ones stay in force and
    an error is logged; without previous ones, `current` raises.
    """

    def __init__(self, source: str, max_age_s: float, folder: Path) -> None:
        self._source = source
        self._max_age_s = max_age_s
        self._folder = folder
        self._rules: Ruleset | None = None
        self._read_at_s = 0.0
        if not source.startswith(("s3://", "ssm:")):
            self.current()

    def current(self) -> Ruleset:
        """The rules. Raises SettingsError with every mistake in them, or Unavailable when S3 or SSM fails."""
        if self._rules is None or time.monotonic() - self._read_at_s > self._max_age_s:
            try:
                self._rules = rules.load(self._text(), self._source)
            except (SettingsError, Unavailable) as error:
                if self._rules is None:
                    raise
                logger.error("the new rules cannot be used; the previous ones stay", extra={"reason": str(error)})
            self._read_at_s = time.monotonic()
        return self._rules

    def _text(self) -> str:
        if self._source.startswith("s3://"):
            return _from_s3(self._source)
        if self._source.startswith("ssm:"):
            return _from_ssm(self._source)
        try:
            return (self._folder / self._source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"KILI_RULES: {self._source} is not a text file beside the function") from None


def _from_s3(source: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    from annohooks.core import s3

    bucket, _, key = source.removeprefix("s3://").partition("/")
    try:
        reply = s3.client().get_object(Bucket=bucket, Key=key)
        with reply["Body"] as body:
            if reply["ContentLength"] > MOST_BYTES:
                raise SettingsError(f"KILI_RULES: {source} is larger than {MOST_BYTES} bytes")
            return body.read().decode()
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The rules could not be read from {source}.") from error
    except UnicodeDecodeError:
        raise SettingsError(f"KILI_RULES: {source} is not text in UTF-8") from None


def _from_ssm(source: str) -> str:
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    from annohooks.core.auth import ssm

    try:
        return str(ssm().get(source.removeprefix("ssm:"), decrypt=True, force_fetch=True))
    except GetParameterError as error:
        raise Unavailable(f"The rules could not be read from {source}.") from error
