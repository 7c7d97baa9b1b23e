"""Events that never came: Kili's own record of the last hour is read, and what is in it is handled again.

An event that was handled before changes nothing, so nothing needs to be known about which ones were missed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, SettingsError
from annohooks.core.observability import logger
from annohooks.kili import events
from annohooks.kili.events import Event
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import Webhook

_ONE_EVENT_S = 30.0


class Tally(msgspec.Struct):
    """How many events were found, and what became of them. changed: those for which Kili was changed. left: those that
    there was no time for."""

    found: int = 0
    changed: int = 0
    failed: int = 0
    left: int = 0


def reconcile(webhook: Webhook, settings: Settings, deadline: Deadline) -> Tally:
    """Handles the last event of each label of the projects served, from the last KILI_RECONCILE_MINUTES.

    A label that fails is logged and counted, and the next is taken. Raises SettingsError when no projects are named,
    and AnnohooksError when the record of one cannot be read.
    """
    if not settings.kili_projects.ids:
        raise SettingsError("KILI_PROJECTS is not set")
    since = datetime.now(UTC) - timedelta(minutes=settings.kili_reconcile_minutes)
    missed: dict[str, Event] = {}
    for project_id in settings.kili_projects.ids:
        with webhook.client(deadline) as client:
            for fields in client.events(project_id, since.isoformat(timespec="milliseconds")):
                event = _event(fields)
                if event and event.handler and event.label_id:
                    missed[event.label_id] = event
    tally = Tally(found=len(missed))
    for number, event in enumerate(missed.values()):
        if deadline.remaining_s() < _ONE_EVENT_S:
            tally.left = tally.found - number
            break
        try:
            done = webhook.handle(event, Deadline.after(_ONE_EVENT_S)).done
            tally.changed += bool(done and done.changed)
        except AnnohooksError as error:
            tally.failed += 1
            logger.warning("an event failed", extra={"label_id": event.label_id, "reason": error.message})
    return tally


def _event(fields: dict[str, object]) -> Event | None:
    try:
        return events.read(fields)
    except BadRequest as error:
        logger.warning("an event in Kili's record cannot be used", extra={"reason": error.message})
        return None
