"""The `where` of queries. A filter that is not simulated raises an error, so that no test passes by ignoring it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.simulators.kili.records import Asset, Issue, Label, Project


class KiliError(Exception):
    """An error of Kili: a token, which stands in brackets, and a sentence."""

    def __init__(self, token: str, text: str) -> None:
        super().__init__(f"[{token}] {text}")


def moment(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise KiliError("invalidDate", f"{text!r} is not a date") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def project(record: Project, where: Mapping[str, Any]) -> bool:
    return _meets(record, where, PROJECT)


def asset(record: Asset, where: Mapping[str, Any]) -> bool:
    return _meets(record, where, ASSET)


def label(record: Label, where: Mapping[str, Any]) -> bool:
    return _meets(record, where, LABEL)


def issue(record: Issue, where: Mapping[str, Any]) -> bool:
    return _meets(record, where, ISSUE)


def event(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return _meets(row, where, EVENT)


Tests = dict[str, Callable[[Any, Any], bool]]


def _meets(record: object, where: Mapping[str, Any], tests: Tests) -> bool:
    filters = {key: value for key, value in where.items() if not _empty(value)}
    if unknown := filters.keys() - tests.keys():
        raise KiliError("notSimulated", f"the simulated Kili has no filter {', '.join(sorted(unknown))}")
    return all(tests[key](record, value) for key, value in filters.items())


def _empty(value: object) -> bool:
    """Whether a filter is absent. The SDK sends null, or an object of nulls, for it."""
    return value is None or (isinstance(value, dict) and all(_empty(inner) for inner in value.values()))


PROJECT: Tests = {
    "id": lambda project, value: project.id == value,
    "searchQuery": lambda project, value: value.strip("%") in project.title,
    "archived": lambda project, value: not value,
    "deleted": lambda project, value: not value,
}
ASSET: Tests = {
    "id": lambda asset, value: asset.id == value,
    "idIn": lambda asset, value: asset.id in value,
    "idNotIn": lambda asset, value: asset.id not in value,
    "project": lambda asset, value: project(asset.project, value),
    "externalIdIn": lambda asset, value: any(part in (asset.external_id or "") for part in value),
    "externalIdStrictlyIn": lambda asset, value: asset.external_id in value,
    "statusIn": lambda asset, value: asset.status in value,
    "skipped": lambda asset, value: asset.skipped == value,
    "createdAtGte": lambda asset, value: moment(asset.created_at) >= moment(value),
    "createdAtLte": lambda asset, value: moment(asset.created_at) <= moment(value),
    "label": lambda asset, value: any(_meets(label, value, LABEL_OF_ASSET) for label in asset.labels),
    "issue": lambda asset, value: any(_meets(issue, value, ISSUE_OF_ASSET) for issue in asset.issues),
}
LABEL_OF_ASSET: Tests = {
    "typeIn": lambda label, value: label.label_type in value,
    "createdAtGte": lambda label, value: moment(label.created_at) >= moment(value),
    "createdAtLte": lambda label, value: moment(label.created_at) <= moment(value),
}
LABEL: Tests = LABEL_OF_ASSET | {
    "id": lambda label, value: label.id == value,
    "idIn": lambda label, value: label.id in value,
    "project": lambda label, value: project(label.asset.project, value),
    "asset": lambda label, value: asset(label.asset, value),
    "user": lambda label, value: value.get("id") in (None, label.author.id),
}
ISSUE_OF_ASSET: Tests = {
    "type": lambda issue, value: issue.type == value,
    "status": lambda issue, value: issue.status == value,
}
ISSUE: Tests = ISSUE_OF_ASSET | {
    "id": lambda issue, value: issue.id == value,
    "project": lambda issue, value: project(issue.asset.project, value),
    "asset": lambda issue, value: asset(issue.asset, value),
    "assetIn": lambda issue, value: issue.asset.id in value,
}
EVENT: Tests = {
    "organizationId": lambda row, value: row["organizationId"] == value,
    "projectId": lambda row, value: row["projectId"] == value,
    "userId": lambda row, value: row["userId"] == value,
    "event": lambda row, value: row["event"] == value,
    "createdAtGte": lambda row, value: moment(row["createdAt"]) >= moment(value),
    "createdAtLte": lambda row, value: moment(row["createdAt"]) <= moment(value),
}
