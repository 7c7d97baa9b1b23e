"""Looks again, on a schedule, at labels whose event may never have come. No request calls it, no secret guards it."""

from pathlib import Path
from typing import Any

import msgspec
from aws_lambda_powertools.metrics import MetricUnit

from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.core.observability import logger, metrics
from annohooks.core.settings import from_env
from annohooks.kili.reconcile import reconcile
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import Webhook

settings = from_env(Settings)
webhook = Webhook(settings, folder=Path(__file__).parent)


def look_again(event: Any, context: Any) -> dict[str, int]:
    deadline = Deadline.after(context.get_remaining_time_in_millis() / 1000).earlier(1.0)
    tally = msgspec.structs.asdict(reconcile(webhook, settings, deadline))
    for name, count in tally.items():
        metrics.add_metric(f"Reconcile{name.title()}", MetricUnit.Count, count)
    logger.info("reconciled", extra=tally)
    if tally["failed"] or tally["left"]:
        raise Unavailable("Not every label could be looked at again; the log says which.")
    return tally


handler = observability.instrument(look_again)
