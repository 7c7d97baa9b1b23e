"""Events that never came: Kili's own record of the last hour is read, and what was not checked is handled now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, SettingsError
from annohooks.core.observability import logger
from annohooks.kili import events
from annohooks.kili.events import HANDLED, Event
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import Webhook

_ONE_EVENT_S = 30.0


class Tally(msgspec.Struct):
    """How many labels were found, and what became of them. missed: those whose event was handled now. failed: labels,
    and projects whose record could not be read. left: labels that there was no time for."""

    found: int = 0
    missed: int = 0
    failed: int = 0
    left: int = 0


def reconcile(webhook: Webhook, settings: Settings, deadline: Deadline) -> Tally:
    """Handles each label of the projects served that Kili has recorded in the last KILI_RECONCILE_MINUTES, unless the
    same rules have checked the same content before.

    What fails is logged and counted, and the next is taken. Raises SettingsError when no projects are named.
    """
    if not settings.kili_projects.ids:
        raise SettingsError("KILI_PROJECTS is not set")
    tally = Tally()
    since = datetime.now(UTC) - timedelta(minutes=settings.kili_reconcile_minutes)
    recorded: dict[str, Event] = {}
    for project_id in settings.kili_projects.ids:
        try:
            recorded |= _recorded(webhook, project_id, since.isoformat(timespec="milliseconds"), deadline)
        except AnnohooksError as error:
            tally.failed += 1
            logger.error("a project's events cannot be read", extra={"project": project_id, "reason": error.message})
    tally.found = len(recorded)
    for number, event in enumerate(recorded.values()):
        if deadline.remaining_s() < _ONE_EVENT_S:
            tally.left = tally.found - number
            break
        try:
            outcome = webhook.handle(event, Deadline.after(_ONE_EVENT_S), unless_checked=True)
            tally.missed += outcome.ignored is None
        except AnnohooksError as error:
            tally.failed += 1
            logger.warning("an event failed", extra={"label_id": event.label_id, "reason": error.message})
    return tally


def _recorded(webhook: Webhook, project_id: str, since: str, deadline: Deadline) -> dict[str, Event]:
    """The last event of each label, by the label's id."""
    found = {}
    with webhook.client(deadline) as client:
        for subject in HANDLED:
            for fields in client.events(project_id, subject, since):
                event = events.read(fields)
                if event.label_id:
                    found[event.label_id] = event
    return found
