"""A simulated Slide Score server with one small slide, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slidescore_client import IMAGE, Client, gradient

from local.simulators.slidescore import SlideScore
from local.slides import Slide


@pytest.fixture
def slide() -> Slide:
    return gradient(700, 500)


@pytest.fixture
def server(slide: Slide) -> Iterator[SlideScore]:
    with SlideScore({IMAGE: slide}) as server:
        yield server


@pytest.fixture
def client(server: SlideScore) -> Client:
    return Client(server)
