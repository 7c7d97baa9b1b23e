"""Time in the local stack: pauses may be shorter than on AWS, so that a test of back-off and patience takes moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl

from annohooks.core import retry


@contextmanager
def scaled(scale: float) -> Iterator[None]:
    """Multiplies by `scale` the pauses between attempts: those of our functions, and those of the state machines.

    What is measured stays: deadlines, time-outs and intervals between heartbeats.
    """

    def sleep(seconds: float) -> None:
        time.sleep(seconds * scale)

    with (
        mock.patch.object(retry, "sleep", sleep),
        mock.patch.object(retrier_decl, "time", SimpleNamespace(sleep=sleep)),
    ):
        yield
