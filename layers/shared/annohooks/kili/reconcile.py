"""Handles events that never arrived: reads Kili's audit log, and checks the labels that were not checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, SettingsError
from annohooks.core.observability import logger
from annohooks.kili import events
from annohooks.kili.events import HANDLED, Event
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import LabelWebhook

_ONE_EVENT_S = 30.0


class Tally(msgspec.Struct):
    """Counts of labels. missed: handled now. failed: labels that could not be checked, and projects whose audit log
    could not be read. left: not handled for lack of time."""

    found: int = 0
    missed: int = 0
    failed: int = 0
    left: int = 0


def reconcile(webhook: LabelWebhook, settings: Settings, deadline: Deadline) -> Tally:
    """Handles each label that the audit log of the last KILI_RECONCILE_MINUTES names, in each project of KILI_PROJECTS.

    Leaves out a label whose content the same rules have checked before. Logs and counts each failure, and continues.
    Raises SettingsError when KILI_PROJECTS is empty.
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
            logger.error(
                "the audit log of a project could not be read", extra={"project": project_id, "reason": error.message}
            )
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
            logger.warning("an event could not be handled", extra={"label_id": event.label_id, "reason": error.message})
    return tally


def _recorded(webhook: LabelWebhook, project_id: str, since: str, deadline: Deadline) -> dict[str, Event]:
    """The last event of each label, by the label's id."""
    last = {}
    with webhook.client(deadline) as client:
        for subject in HANDLED:
            for fields in client.events(project_id, subject, since):
                event = events.read(fields)
                if event.label_id:
                    last[event.label_id] = event
    return last
