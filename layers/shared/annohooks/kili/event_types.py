"""Kili's events, by subject, and the patterns that subscribe to them. Source: the package kili-events 26.2.1."""

from __future__ import annotations

import re

_EVENTS = {
    "asset": "created deleted destroyed skipped unskipped updated",
    "asset.analytics": "consensus.computed honeypot.computed reviewScore.computed",
    "asset.issue": "cancelled created resolved",
    "asset.question": "cancelled created resolved",
    "asset.workflow": "assigned currentStep.changed currentStep.statusChanged lock.created lock.deleted setToNextStep "
    "step.consensus.activated step.consensus.deactivated",
    "assetStorage.connection": "created data.synchronized deleted filter.updated",
    "label.workflow": "created.default created.honeypot created.inference created.prediction created.review edited "
    "rejected revisionStarted validated",
    "project": "archived auditTrail.export.requested created deleted exported interface.updated settings.updated",
    "project.member": "created deleted updated",
    "project.workflow": "settings.updated step.created step.deleted step.updated stepGroup.created stepGroup.deleted "
    "stepGroup.updated",
    "project.workflow.bulkAction": "addToConsensus.started assign.started delete.started prioritize.started "
    "removeFromConsensus.started sendBackToQueue.started setToNextStep.started",
    "smartTool": "interactiveSegmentation.created videoTracking.created",
}
_OF_NO_PROJECT = {"assetStorage.integration": "created deleted updated"}
_SYSTEM = {
    "asset.analytics.labelMetric": "consensus.computed consensus.started honeypot.computed honeypot.started "
    "inference.computed inference.started reviewScore.computed reviewScore.started",
    "label": "analytics.metrics.save.started jsonResponse.store.started",
    "project": "member.analytics.labelerMetrics.rebuild.started member.analytics.projectUserMetrics.rebuild.started "
    "workflow.distribution.rebuild.completed workflow.distribution.rebuild.started",
}

_TOKEN = re.compile(r"[A-Za-z0-9]+|\*")


def _full(families: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{family}.{name}" for family, names in families.items() for name in names.split())


SYSTEM = _full(_SYSTEM)
"""Events for Kili's own services."""

OF_NO_PROJECT = _full(_OF_NO_PROJECT)

SUBJECTS = _full(_EVENTS) | OF_NO_PROJECT | SYSTEM


def goes_to_plugins(subject: str) -> bool:
    """Whether Kili sends an event to plugins and webhooks. An unknown event may be newer than this list."""
    return subject not in SYSTEM and subject not in OF_NO_PROJECT


def matches(subject: str, pattern: str) -> bool:
    """Whether a pattern of a webhook's event_matcher subscribes to an event.

    A pattern is names with dots between them. A * stands for one or more names, and is never the first. Raises
    ValueError for an invalid pattern. Source: matches_subject of the package kili-events.
    """
    tokens = pattern.split(".")
    if tokens[0] == "*" or not all(map(_TOKEN.fullmatch, tokens)):
        raise ValueError(f"{pattern!r} is not a pattern of events such as label.workflow.*")
    names = subject.split(".")
    reached = {0}  # how many names the tokens so far may match
    for token in tokens:
        if token == "*":
            reached = set(range(min(reached) + 1, len(names) + 1)) if reached else reached
        else:
            reached = {number + 1 for number in reached if number < len(names) and names[number] == token}
    return len(names) in reached
