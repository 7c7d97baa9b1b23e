"""Checks, on a schedule, the labels whose event may have been lost. No request reaches it, so no secret guards it."""

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
from annohooks.kili.webhook import LabelWebhook

settings = from_env(Settings)
webhook = LabelWebhook(settings, folder=Path(__file__).parent)


def check_missed(event: Any, context: Any) -> dict[str, int]:
    tally = msgspec.structs.asdict(reconcile(webhook, settings, Deadline.of_invocation(context, spare_s=1.0)))
    for name, count in tally.items():
        metrics.add_metric(f"Reconcile{name.title()}", MetricUnit.Count, count)
    logger.info("reconciled", extra=tally)
    if tally["failed"] or tally["left"]:
        raise Unavailable("Not every label could be checked again; the log says which.")
    return tally


handler = observability.instrument(check_missed)
