"""What the tests of jobs share: settings, deadlines, and the toolkit's webhooks."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from annohooks.aiware.jobs.record import Job, WebhookUrls
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.dynamodb import Change, Table
from annohooks.core.origins import Origins

WEBHOOKS = WebhookUrls("http://localhost:1/heartbeat", "http://localhost:1/result")


def settings(**chosen: Any) -> Settings:
    return Settings(aiware_table="jobs", staging_bucket="staging", **chosen)


def soon() -> Deadline:
    return Deadline.after(20)


def changed(job: Job, **values: Any) -> None:
    """Writes other values into a record."""
    assert Table("jobs").apply({"job": job.id, "sequence": 0}, Change(values)) is not None


@dataclasses.dataclass
class Listener:
    """The toolkit's webhooks. hold: a request is answered once it is set."""

    origin: str
    bodies: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    hold: threading.Event = dataclasses.field(default_factory=threading.Event)
    status: int = 200

    @property
    def webhooks(self) -> WebhookUrls:
        return WebhookUrls(f"{self.origin}/heartbeat", f"{self.origin}/result")

    def settings(self, **chosen: Any) -> Settings:
        return settings(aiware_delivery="direct", aiware_webhook_origins=Origins.parse(self.origin), **chosen)
