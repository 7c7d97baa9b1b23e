"""A simulated Engine Toolkit, and one task that an engine has acknowledged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toolkit_engine import Engine

from local.simulators.aiware import Task, Toolkit


@pytest.fixture
def toolkit() -> Iterator[Toolkit]:
    with Toolkit() as toolkit:
        yield toolkit


@pytest.fixture
def task(toolkit: Toolkit) -> Iterator[Task]:
    with Engine() as engine:
        yield toolkit.process(
            engine.url, token="canary-token", cacheURI="http://media.invalid/canary", chunkMimeType="video/mp4"
        )
