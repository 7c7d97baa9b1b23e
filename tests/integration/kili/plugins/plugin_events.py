"""Events for plugins, and what their tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from annohooks.kili import events

PROJECT = "project"
KEY = "canary-key-of-a-bot"
TEAM_PLUGIN = Path(__file__).with_name("team_plugin.py")


def legacy(kind: str, **payload: Any) -> events.Event:
    """An event of the first generation."""
    return events.read({"eventType": kind, "logPayload": {"runId": "r", "projectId": PROJECT}, "payload": payload})


SUBMITTED = legacy("onSubmit", label={"id": "l"}, asset_id="asset")
