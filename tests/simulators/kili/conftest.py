"""A simulated Kili with one project of two assets, a client of it, and a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kili_client import ASSET, Client, Receiver, with_assets

from local.simulators.kili import Kili


@pytest.fixture
def kili() -> Iterator[Kili]:
    with Kili() as simulated:
        yield with_assets(simulated)


@pytest.fixture
def client(kili: Kili) -> Client:
    return Client(kili)


@pytest.fixture
def label(kili: Kili) -> str:
    """The id of a label on ASSET."""
    return kili.submit(ASSET, {"JOB": {"text": "some words"}})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
