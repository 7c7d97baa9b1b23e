"""The `where` of queries. A filter that is not simulated is refused: no test shall pass because one was ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.simulators.kili.records import Asset, Issue, Label, Project


class KiliError(Exception):
    """What Kili does not do: a token, which comes in brackets, and the sentence that follows it."""

    def __init__(self, token: str, text: str) -> None:
        super().__init__(f"[{token}] {text}")


def moment(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise KiliError("invalidDate", f"{text!r} is no date") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


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
    given = {key: value for key, value in where.items() if not _empty(value)}
    if unknown := given.keys() - tests.keys():
        raise KiliError("notSimulated", f"the simulated Kili has no filter {', '.join(sorted(unknown))}")
    return all(tests[key](record, value) for key, value in given.items())


def _empty(value: object) -> bool:
    """The SDK sends nulls, and objects of nulls, for filters that nobody gave."""
    return value is None or (isinstance(value, dict) and all(_empty(inner) for inner in value.values()))


PROJECT: Tests = {
    "id": lambda project, wanted: project.id == wanted,
    "searchQuery": lambda project, wanted: wanted.strip("%") in project.title,
    "archived": lambda project, wanted: not wanted,
    "deleted": lambda project, wanted: not wanted,
}
ASSET: Tests = {
    "id": lambda asset, wanted: asset.id == wanted,
    "idIn": lambda asset, wanted: asset.id in wanted,
    "idNotIn": lambda asset, wanted: asset.id not in wanted,
    "project": lambda asset, wanted: project(asset.project, wanted),
    "externalIdIn": lambda asset, wanted: any(part in (asset.external_id or "") for part in wanted),
    "externalIdStrictlyIn": lambda asset, wanted: asset.external_id in wanted,
    "statusIn": lambda asset, wanted: asset.status in wanted,
    "skipped": lambda asset, wanted: asset.skipped == wanted,
    "createdAtGte": lambda asset, wanted: moment(asset.created_at) >= moment(wanted),
    "createdAtLte": lambda asset, wanted: moment(asset.created_at) <= moment(wanted),
    "label": lambda asset, wanted: any(_meets(label, wanted, LABEL_OF_ASSET) for label in asset.labels),
    "issue": lambda asset, wanted: any(_meets(issue, wanted, ISSUE_OF_ASSET) for issue in asset.issues),
}
LABEL_OF_ASSET: Tests = {
    "typeIn": lambda label, wanted: label.label_type in wanted,
    "createdAtGte": lambda label, wanted: moment(label.created_at) >= moment(wanted),
    "createdAtLte": lambda label, wanted: moment(label.created_at) <= moment(wanted),
}
LABEL: Tests = LABEL_OF_ASSET | {
    "id": lambda label, wanted: label.id == wanted,
    "idIn": lambda label, wanted: label.id in wanted,
    "project": lambda label, wanted: project(label.asset.project, wanted),
    "asset": lambda label, wanted: asset(label.asset, wanted),
    "user": lambda label, wanted: wanted.get("id") in (None, label.author.id),
}
ISSUE_OF_ASSET: Tests = {
    "type": lambda issue, wanted: issue.type == wanted,
    "status": lambda issue, wanted: issue.status == wanted,
}
ISSUE: Tests = ISSUE_OF_ASSET | {
    "id": lambda issue, wanted: issue.id == wanted,
    "project": lambda issue, wanted: project(issue.asset.project, wanted),
    "asset": lambda issue, wanted: asset(issue.asset, wanted),
    "assetIn": lambda issue, wanted: issue.asset.id in wanted,
}
EVENT: Tests = {
    "organizationId": lambda row, wanted: row["organizationId"] == wanted,
    "projectId": lambda row, wanted: row["projectId"] == wanted,
    "userId": lambda row, wanted: row["userId"] == wanted,
    "event": lambda row, wanted: row["event"] == wanted,
    "createdAtGte": lambda row, wanted: moment(row["createdAt"]) >= moment(wanted),
    "createdAtLte": lambda row, wanted: moment(row["createdAt"]) <= moment(wanted),
}
