"""The data of the simulated Kili: projects, assets, labels and issues, and how actions change them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.simulators.kili import events, filters
from local.simulators.kili.filters import KiliError
from local.simulators.kili.records import (
    HANDLERS,
    TO_BE_LABELLED,
    Asset,
    Comment,
    Event,
    Issue,
    Label,
    Plugin,
    Project,
    User,
)

ORGANIZATION_ID = "organization"
HANDLER_TYPES = ("onSubmit", "onReview")  # the default of a webhook
STATUS_AFTER = {"DEFAULT": "LABELED", "REVIEW": "REVIEWED", "AUTOSAVE": "ONGOING"}
CREATED = {  # the event of a new label by its type; an autosave has none
    kind: f"label.workflow.created.{kind.lower()}" for kind in ("DEFAULT", "REVIEW", "PREDICTION", "INFERENCE")
}
EDITED = "label.workflow.edited"
ISSUE_EVENTS = {"SOLVED": "resolved", "CANCELLED": "cancelled"}
Outcome = dict[str, list[dict[str, str | None]]]


class Organization:
    """The caller holds one lock around every call. publish: gets every event."""

    def __init__(self, publish: Callable[[Event], None], clock: Callable[[], datetime]) -> None:
        self.users: dict[str, User] = {}
        self.projects: dict[str, Project] = {}
        self.assets: dict[str, Asset] = {}
        self.labels: dict[str, Label] = {}
        self.issues: dict[str, Issue] = {}
        self.plugins: dict[str, Plugin] = {}
        self.events: list[Event] = []
        self.sent_back: list[str] = []
        self.declined: list[str] = []
        self._publish = publish
        self._clock = clock

    # ---- records

    def now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def user(self, user_id: str) -> User:
        """The user with this id, created if absent."""
        return self.users.setdefault(user_id, User(user_id, f"{user_id}@example.org"))

    def user_of_key(self, api_key: str) -> User | None:
        return next((user for user in self.users.values() if user.api_key and user.api_key == api_key), None)

    def project(self, project_id: str) -> Project:
        if project_id not in self.projects:
            raise KiliError("projectNotFound", f"there is no project {project_id}")
        return self.projects[project_id]

    def chosen_assets(self, where: Mapping[str, Any]) -> list[Asset]:
        """The assets of an action: by their ids, all of which must exist, or by another filter."""
        chosen = [asset for asset in self.assets.values() if filters.asset(asset, where)]
        named = set(where.get("idIn") or ([where["id"]] if where.get("id") else []))
        if missing := named - {asset.id for asset in chosen}:
            raise KiliError("assetNotFound", f"there is no asset {', '.join(sorted(missing))}")
        if not named and not (where.get("project") or {}).get("id"):
            raise KiliError("missingArgument", "neither assets nor a project are named")
        return chosen

    # ---- projects and assets

    def add_project(self, project: Project, author: User) -> Project:
        self.projects[project.id] = project
        self._event("project.created", project, author, {})
        return project

    def add_asset(self, asset: Asset, author: User) -> Asset:
        self.assets[asset.id] = asset
        self._asset_event("asset.created", asset, author)
        return asset

    def set_metadata(self, asset: Asset, properties: Mapping[str, Any], author: User) -> None:
        """properties: fields of AssetData in the schema."""
        changes = {key: value for key, value in properties.items() if value is not None}
        if (text := changes.get("jsonMetadata")) is not None:
            if not _is_object(text):
                raise KiliError("invalidMetadata", "jsonMetadata is not a JSON object as text")
            asset.json_metadata = text
        asset.external_id = changes.get("externalId", asset.external_id)
        self._asset_event("asset.updated", asset, author, fields=sorted(changes))

    # ---- labels and the queue

    def add_label(self, label: Label) -> Label:
        """Stores a label. Its asset changes status, and it becomes the latest label of its author."""
        asset = label.asset
        if label.label_type in HANDLERS:
            for older in asset.labels:
                if older.author is label.author:
                    older.is_latest_label_for_user = False
                    if older.label_type == label.label_type:
                        older.is_latest_default_label_for_user = older.is_latest_review_label_for_user = False
            label.is_latest_label_for_user = True
            label.is_latest_default_label_for_user = label.label_type == "DEFAULT"
            label.is_latest_review_label_for_user = label.label_type == "REVIEW"
        asset.labels.append(label)
        self.labels[label.id] = label
        asset.status = STATUS_AFTER.get(label.label_type, asset.status)
        if label.label_type in CREATED:
            self._record(self.label_event(label, CREATED[label.label_type]))
        return label

    def edit_label(self, label: Label, json_response: str) -> None:
        label.json_response, label.updated_at = json_response, self.now()
        self._record(self.label_event(label, EDITED))

    def remove_predictions_like(self, label: Label) -> None:
        """Removes labels of the same model and type from the asset, as `overwrite` does before it adds a label."""
        for older in list(label.asset.labels):
            if (older.model_name, older.label_type) == (label.model_name, label.label_type):
                label.asset.labels.remove(older)
                del self.labels[older.id]

    def label_event(self, label: Label, subject: str) -> Event:
        """An event with the label as it is now."""
        asset = label.asset
        return Event(
            new_id(),
            self.now(),
            subject,
            ORGANIZATION_ID,
            asset.project.id,
            label.author.id,
            payload={"assetId": asset.id, "labelId": label.id, "externalId": asset.external_id},
            flat={"label": events.flat_label(label), "author": {"isServiceAccount": False}, "assetId": asset.id},
            handler=None if subject == EDITED else HANDLERS.get(label.label_type),
            legacy={"label": events.legacy_label(label), "asset_id": asset.id},
        )

    def send_back(self, assets: Iterable[Asset], author: User, *, fails: bool = False) -> Outcome:
        """Declines assets that are still to be labelled. fails: every write fails."""
        outcome: Outcome = {"succeeded": [], "declined": [], "failed": []}
        for asset in assets:
            if fails:
                outcome["failed"].append(_reference(asset) | {"details": "The write did not work."})
            elif asset.status in TO_BE_LABELLED:
                self.declined.append(asset.id)
                outcome["declined"].append(_reference(asset))
            else:
                for label in asset.latest_labels:
                    label.is_sent_back_to_queue = True
                self.sent_back.append(asset.id)
                self._change_status(asset, "ONGOING", author, handler="onSendBackToQueue")
                outcome["succeeded"].append(_reference(asset))
        return outcome

    def add_to_review(self, assets: Iterable[Asset], author: User) -> Outcome:
        """Declines assets without a label, and those that are reviewed already."""
        outcome: Outcome = {"succeeded": [], "declined": [], "failed": []}
        for asset in assets:
            if asset.status == "LABELED":
                self._change_status(asset, "TO_REVIEW", author)
            outcome["succeeded" if asset.status == "TO_REVIEW" else "declined"].append(_reference(asset))
        return outcome

    def _change_status(self, asset: Asset, status: str, author: User, handler: str | None = None) -> None:
        asset.status = status
        step = asset.project.step_id("review" if status == "TO_REVIEW" else "labeling")
        self._asset_event(
            "asset.workflow.currentStep.statusChanged", asset, author, handler, status=status, stepId=step
        )

    # ---- issues

    def raise_issues(self, data: Iterable[Mapping[str, Any]], project_id: str, author: User) -> list[Issue]:
        """Creates all issues or none. data: IssueToCreate of the schema."""
        issues = [self._issue(issue_data, project_id, author) for issue_data in data]
        for issue in issues:
            self.issues[issue.id] = issue
            issue.asset.issues.append(issue)
            self._issue_event(issue, "created", author, objectMid=issue.object_mid)
        return issues

    def _issue(self, data: Mapping[str, Any], project_id: str, author: User) -> Issue:
        label = self.labels.get(data.get("labelID") or "")
        if data.get("labelID") and label is None:
            raise KiliError("labelNotFound", f"there is no label {data['labelID']}")
        asset = label.asset if label else self.assets.get(data.get("assetId") or "")
        if asset is None or asset.project.id != project_id:
            raise KiliError("assetNotFound", "an issue on an asset that this project does not have")
        now = self.now()
        comments = [Comment(new_id(), data.get("text"), author, now)]
        return Issue(new_id(), asset, label, data.get("objectMid"), data["type"], author, now, comments)

    def set_issue_status(self, issue_id: str, status: str, author: User) -> Issue:
        if issue_id not in self.issues:
            raise KiliError("issueNotFound", f"there is no issue {issue_id}")
        issue = self.issues[issue_id]
        changed, issue.status = issue.status != status, status
        if changed and status in ISSUE_EVENTS:
            self._issue_event(issue, ISSUE_EVENTS[status], author)
        return issue

    def _issue_event(self, issue: Issue, action: str, author: User, **fields: Any) -> None:
        key = "issueId" if issue.type == "ISSUE" else "questionId"
        self._asset_event(f"asset.{issue.type.lower()}.{action}", issue.asset, author, **{key: issue.id}, **fields)

    # ---- webhooks

    def create_webhook(self, data: Mapping[str, Any]) -> str:
        name = data["pluginName"]
        if name in self.plugins:
            raise KiliError("duplicatedValue", f'an entity Plugin already exists with value "{name}"')
        now = self.now()
        plugin = Plugin(new_id(), name, data["webhookUrl"], data.get("header"), [], [], now, now)
        _subscribe(plugin, data)
        self.plugins[name] = plugin
        return f"Webhook {name} successfully created"

    def update_webhook(self, data: Mapping[str, Any]) -> str:
        """Keeps the header if none is given."""
        plugin = self.plugin(data["pluginName"])
        _subscribe(plugin, data)
        plugin.url, plugin.updated_at = data["webhookUrl"], self.now()
        plugin.header = data.get("header", plugin.header)
        return f"Webhook {plugin.name} successfully updated"

    def plugin(self, name: str) -> Plugin:
        if name not in self.plugins:
            raise KiliError("pluginNotFound", f"there is no plugin {name}")
        return self.plugins[name]

    def activate(self, name: str, project_id: str) -> str:
        plugin, project = self.plugin(name), self.project(project_id)
        if project.id in plugin.project_ids:
            raise KiliError("duplicatedValue", f'an entity Project already exists with value "{project.id}"')
        plugin.project_ids.append(project.id)
        return f"Plugin with name {name} successfully activated"

    def deactivate(self, name: str, project_id: str) -> str:
        plugin = self.plugin(name)
        if project_id not in plugin.project_ids:
            raise KiliError("pluginNotActivated", f"plugin {name} is not activated on project {project_id}")
        plugin.project_ids.remove(project_id)
        return f"Plugin with name {name} successfully deactivated"

    def delete_plugin(self, name: str) -> str:
        del self.plugins[self.plugin(name).name]
        return f"Plugin with name {name} successfully deleted"

    # ---- events

    def _asset_event(self, subject: str, asset: Asset, author: User, handler: str | None = None, **fields: Any) -> None:
        payload = {"assetId": asset.id, **fields, "externalId": asset.external_id}
        legacy = {"asset_id": asset.id} if handler else {}
        self._event(subject, asset.project, author, payload, handler, legacy)

    def _event(
        self,
        subject: str,
        project: Project,
        author: User,
        payload: Mapping[str, Any],
        handler: str | None = None,
        legacy: Mapping[str, Any] | None = None,
    ) -> None:
        source = (new_id(), self.now(), subject, ORGANIZATION_ID, project.id, author.id)
        self._record(Event(*source, payload, payload, handler, legacy or {}))

    def _record(self, event: Event) -> None:
        self.events.append(event)
        self._publish(event)


def new_id() -> str:
    return "c" + secrets.token_hex(12)


def _reference(asset: Asset) -> dict[str, str | None]:
    return {"assetId": asset.id, "externalId": asset.external_id}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _subscribe(plugin: Plugin, data: Mapping[str, Any]) -> None:
    handlers, patterns = data.get("handlerTypes") or [], data.get("eventMatcher") or []
    if handlers and patterns:
        raise KiliError("invalidArguments", "Cannot have both handler types and event matcher.")
    try:
        for pattern in patterns:
            events.names(pattern)
    except ValueError as error:
        raise KiliError("invalidEventMatcher", str(error)) from None
    plugin.handler_types = [] if patterns else list(handlers or HANDLER_TYPES)
    plugin.event_matcher = list(patterns)
