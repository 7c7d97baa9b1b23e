"""A relay between an API and a toolkit that answer as a test says."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from stand_ins import SECRET, Api, RelayInProcess, Toolkit

from engine import relay

QUICK = relay.Timing(
    wait_s=1, patience_s=0.5, process_s=5, first_pause_s=0.002, longest_pause_s=0.02, end_s=3, beat_s=1000
)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as listener:
        yield listener


@pytest.fixture
def toolkit() -> Iterator[Toolkit]:
    with Toolkit() as listener:
        yield listener


@pytest.fixture
def start(api: Api, tmp_path: Path) -> Iterator[Callable[..., RelayInProcess]]:
    """start(gone_s=0.2, ...): a relay with QUICK timing but for these values. url: of another API."""

    def run(url: str = "", **timing: float) -> RelayInProcess:
        environment = {
            "ANNOHOOKS_URL": url or f"{api.origin}/stage/",
            "ANNOHOOKS_SECRET": SECRET,
            "ANNOHOOKS_RELAY_STATE": str(tmp_path / "state"),
            "ANNOHOOKS_RELAY_PORT": "0",
        }
        settings = relay.settings(environment)
        server = relay.Server(relay.Relay(settings, dataclasses.replace(QUICK, **timing)), settings.port)
        server.relay.resume()
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        started = RelayInProcess(server.server_port, server, thread, settings.state)
        relays.callback(lambda: started.stop() if thread.is_alive() else None)
        return started

    with ExitStack() as relays:
        yield run
