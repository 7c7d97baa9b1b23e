"""A simulated Kili with a project, and Kili's own SDK as its client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kili.client import Kili as Sdk
from kili.client_domain import Kili as DomainSdk
from kili.core.graphql import graphql_client
from kili_requests import client_of

from annohooks.kili.api import cache
from annohooks.kili.api.client import Client
from local.simulators.kili import Kili, samples

PROJECT, ASSET, OTHER_ASSET = "p1", "a1", "a2"
CATEGORIES = {
    "OBJECT_A": {"children": [], "name": "Object A", "id": "category1"},
    "OBJECT_B": {"children": [], "name": "Object B", "id": "category2"},
}
JOB = {"instruction": "Categories", "isChild": False, "isVisible": True, "models": {}, "required": 1}
JOB |= {"mlTask": "OBJECT_DETECTION", "tools": ["rectangle"], "content": {"categories": CATEGORIES, "input": "radio"}}


def connection(kili: Kili, cache_dir: Path) -> dict[str, Any]:
    """The arguments of the SDK's constructors."""
    address = {"api_key": kili.api_key, "api_endpoint": kili.endpoint, "disable_tqdm": True}
    return {**address, "graphql_client_params": {"graphql_schema_cache_dir": cache_dir}}


@pytest.fixture
def kili() -> Iterator[Kili]:
    """Nobody may use it against its protocol."""
    with Kili() as simulated:
        simulated.add_project(PROJECT, json_interface={"jobs": {"JOB_0": JOB}})
        simulated.add_asset(PROJECT, ASSET, external_id="picture-1", width=640, height=480)
        simulated.add_asset(PROJECT, OTHER_ASSET, external_id="picture-2")
        yield simulated
        assert simulated.violations == []


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again without the pauses that it makes of its own accord."""
    monkeypatch.setattr(graphql_client, "_backoff", lambda _: 0.0)
    for setting in ("KILI_SDK_SKIP_CHECKS", "KILI_API_KEY", "KILI_API_ENDPOINT"):
        monkeypatch.delenv(setting, raising=False)


@pytest.fixture
def sdk(kili: Kili, tmp_path: Path) -> Sdk:
    """The SDK as it is, with all its checks; what it asked for to begin with is not among the calls."""
    client = Sdk(**connection(kili, tmp_path))
    kili.calls.clear()
    return client


@pytest.fixture
def domain_sdk(kili: Kili, tmp_path: Path) -> DomainSdk:
    """The newer interface of the SDK."""
    with pytest.warns(UserWarning, match="work in progress"):
        return DomainSdk(**connection(kili, tmp_path))


@pytest.fixture
def client(kili: Kili) -> Iterator[Client]:
    cache.projects.clear()
    with client_of(kili) as client:
        yield client


@pytest.fixture
def worlds() -> Iterator[tuple[Kili, Kili]]:
    """Two of the same: one for the SDK and one for us."""
    with Kili(api_key="key") as theirs, Kili(api_key="key") as ours:
        for kili in (theirs, ours):
            kili.add_project(PROJECT, json_interface=samples.INTERFACE)
            kili.add_asset(PROJECT, ASSET, external_id="a.png", width=640, height=480)
            kili.create_webhook("was", "http://127.0.0.1:1/")
        yield theirs, ours
        assert (theirs.violations, ours.violations) == ([], [])
