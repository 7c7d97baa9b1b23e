"""An embedded S3 for what needs no function around it, and all that a function says."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from annohooks.core.observability import logger


@pytest.fixture
def embedded_s3(embedded_aws: None) -> Any:
    """A client of an S3 without buckets."""
    return boto3.client("s3")


class Said:
    """Everything that was said: lines of the log, of other loggers, of standard output and error."""

    def __init__(self, log: io.StringIO, records: pytest.LogCaptureFixture, out: pytest.CaptureFixture[str]) -> None:
        self._log, self._records, self._out = log, records, out

    def text(self) -> str:
        others = (record for record in self._records.records if record.name != logger.name)
        formatted = (logging.Formatter("%(name)s %(message)s").format(record) for record in others)
        return "\n".join([self._log.getvalue(), *formatted, *self._out.readouterr()])


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Said]:
    log = io.StringIO()
    before, level = logger.registered_handler.setStream(log), logger.log_level
    logger.setLevel("DEBUG")
    yield Said(log, caplog, capfd)
    logger.setLevel(level)
    logger.registered_handler.setStream(before)
