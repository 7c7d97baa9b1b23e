"""The relay between an API and a toolkit that do as a test says."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from stand_ins import SECRET, Api, Started, Toolkit

from local.template import ROOT


@pytest.fixture(scope="session")
def relay_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_relay", ROOT / "engine" / "relay.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as listener:
        yield listener


@pytest.fixture
def toolkit() -> Iterator[Toolkit]:
    with Toolkit() as listener:
        yield listener


@pytest.fixture
def start(relay_module: ModuleType, api: Api, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """start(gone_s=0.2, ...): a relay of that pace, quick and patient unless said; url: of another API."""
    quick = relay_module.Pace(
        wait_s=1,
        patience_s=0.5,
        first_pause_s=0.002,
        longest_pause_s=0.02,
        end_s=3,
        beat_s=1000,
    )

    def run(url: str = "", **pace: float) -> Started:
        environment = {
            "ANNOHOOKS_URL": url or f"{api.origin}/stage/",
            "ANNOHOOKS_SECRET": SECRET,
            "ANNOHOOKS_RELAY_STATE": str(tmp_path / "state"),
            "ANNOHOOKS_RELAY_PORT": "0",
        }
        chosen = relay_module.settings(environment)
        server = relay_module.Server(relay_module.Relay(chosen, dataclasses.replace(quick, **pace)), chosen.port)
        server.relay.resume()
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        started = Started(server.server_port, server, thread, chosen.state)
        running.callback(lambda: started.stop() if thread.is_alive() else None)
        return started

    with ExitStack() as running:
        yield run
