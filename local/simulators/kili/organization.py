"""The simulated Kili's memory: projects, assets, labels and issues, and what becomes of them when somebody acts."""

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
HANDLER_TYPES = ("onSubmit", "onReview")  # of a webhook that asks for nothing else
STATUS_AFTER = {"DEFAULT": "LABELED", "REVIEW": "REVIEWED", "AUTOSAVE": "ONGOING"}
CREATED = {  # the event that a new label is, by its type; there is none of an autosave
    kind: f"label.workflow.created.{kind.lower()}" for kind in ("DEFAULT", "REVIEW", "PREDICTION", "INFERENCE")
}
EDITED = "label.workflow.edited"
ISSUE_EVENTS = {"SOLVED": "resolved", "CANCELLED": "cancelled"}
Outcome = dict[str, list[dict[str, str | None]]]


class Organization:
    """Everything is done under one lock, which is the caller's to take. tell: hears of every event."""

    def __init__(self, tell: Callable[[Event], None], clock: Callable[[], datetime]) -> None:
        self.users: dict[str, User] = {}
        self.projects: dict[str, Project] = {}
        self.assets: dict[str, Asset] = {}
        self.labels: dict[str, Label] = {}
        self.issues: dict[str, Issue] = {}
        self.plugins: dict[str, Plugin] = {}
        self.events: list[Event] = []
        self.sent_back: list[str] = []
        self.declined: list[str] = []
        self._tell = tell
        self._clock = clock

    # ---- what there is

    def now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def user(self, user_id: str) -> User:
        """The user of this id, who may be new."""
        return self.users.setdefault(user_id, User(user_id, f"{user_id}@example.org"))

    def user_of_key(self, api_key: str) -> User | None:
        return next((user for user in self.users.values() if user.api_key and user.api_key == api_key), None)

    def project(self, project_id: str) -> Project:
        if project_id not in self.projects:
            raise KiliError("projectNotFound", f"there is no project {project_id}")
        return self.projects[project_id]

    def chosen_assets(self, where: Mapping[str, Any]) -> list[Asset]:
        """Those that an action is asked for: by their ids, every one of which must be there, or by another filter."""
        chosen = [asset for asset in self.assets.values() if filters.asset(asset, where)]
        named = set(where.get("idIn") or ([where["id"]] if where.get("id") else []))
        if missing := named - {asset.id for asset in chosen}:
            raise KiliError("assetNotFound", f"there is no asset {', '.join(sorted(missing))}")
        if not named and not (where.get("project") or {}).get("id"):
            raise KiliError("missingArgument", "neither assets nor a project were named")
        return chosen

    # ---- projects and assets

    def add_project(self, project: Project, author: User) -> Project:
        self.projects[project.id] = project
        self._happened("project.created", project, author, {})
        return project

    def add_asset(self, asset: Asset, author: User) -> Asset:
        self.assets[asset.id] = asset
        self._of_asset("asset.created", asset, author)
        return asset

    def set_metadata(self, asset: Asset, properties: Mapping[str, Any], author: User) -> None:
        """properties: what AssetData of the schema has, in part."""
        given = {key: value for key, value in properties.items() if value is not None}
        if (text := given.get("jsonMetadata")) is not None:
            if not _is_object(text):
                raise KiliError("invalidMetadata", "jsonMetadata is not the text of a JSON object")
            asset.json_metadata = text
        asset.external_id = given.get("externalId", asset.external_id)
        self._of_asset("asset.updated", asset, author, fields=sorted(given))

    # ---- labels and the queue

    def add_label(self, label: Label) -> Label:
        """Stores a label: its asset changes status, and the latest label of its author is now this one."""
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
            self._tell_and_keep(self.label_event(label, CREATED[label.label_type]))
        return label

    def edit_label(self, label: Label, json_response: str) -> None:
        label.json_response, label.updated_at = json_response, self.now()
        self._tell_and_keep(self.label_event(label, EDITED))

    def make_way_for(self, label: Label) -> None:
        """What `overwrite` does before a model's label is added: those of the same model and type go."""
        for older in list(label.asset.labels):
            if (older.model_name, older.label_type) == (label.model_name, label.label_type):
                label.asset.labels.remove(older)
                del self.labels[older.id]

    def label_event(self, label: Label, subject: str) -> Event:
        """The event of a label as it is now."""
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
        """Declined are assets that are still to be labelled. fails: none of the writes works."""
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
        """Declined are assets that nobody has labelled, and those that are reviewed already."""
        outcome: Outcome = {"succeeded": [], "declined": [], "failed": []}
        for asset in assets:
            if asset.status == "LABELED":
                self._change_status(asset, "TO_REVIEW", author)
            outcome["succeeded" if asset.status == "TO_REVIEW" else "declined"].append(_reference(asset))
        return outcome

    def _change_status(self, asset: Asset, status: str, author: User, handler: str | None = None) -> None:
        asset.status = status
        step = asset.project.step_id("review" if status == "TO_REVIEW" else "labeling")
        self._of_asset("asset.workflow.currentStep.statusChanged", asset, author, handler, status=status, stepId=step)

    # ---- issues

    def raise_issues(self, wanted: Iterable[Mapping[str, Any]], project_id: str, author: User) -> list[Issue]:
        """All or none. wanted: IssueToCreate of the schema."""
        raised = [self._issue(issue, project_id, author) for issue in wanted]
        for issue in raised:
            self.issues[issue.id] = issue
            issue.asset.issues.append(issue)
            told = {"issueId" if issue.type == "ISSUE" else "questionId": issue.id, "objectMid": issue.object_mid}
            self._of_asset(f"asset.{issue.type.lower()}.created", issue.asset, author, **told)
        return raised

    def _issue(self, wanted: Mapping[str, Any], project_id: str, author: User) -> Issue:
        label = self.labels.get(wanted.get("labelID") or "")
        if wanted.get("labelID") and label is None:
            raise KiliError("labelNotFound", f"there is no label {wanted['labelID']}")
        asset = label.asset if label else self.assets.get(wanted.get("assetId") or "")
        if asset is None or asset.project.id != project_id:
            raise KiliError("assetNotFound", "an issue on nothing that this project has")
        now = self.now()
        comments = [Comment(new_id(), wanted.get("text"), author, now)]
        return Issue(new_id(), asset, label, wanted.get("objectMid"), wanted["type"], author, now, comments)

    def set_issue_status(self, issue_id: str, status: str, author: User) -> Issue:
        if issue_id not in self.issues:
            raise KiliError("issueNotFound", f"there is no issue {issue_id}")
        issue = self.issues[issue_id]
        changed, issue.status = issue.status != status, status
        if changed and status in ISSUE_EVENTS:
            told = {"issueId" if issue.type == "ISSUE" else "questionId": issue.id}
            self._of_asset(f"asset.{issue.type.lower()}.{ISSUE_EVENTS[status]}", issue.asset, author, **told)
        return issue

    # ---- webhooks

    def create_webhook(self, wanted: Mapping[str, Any]) -> str:
        name = wanted["pluginName"]
        if name in self.plugins:
            raise KiliError("duplicatedValue", f'an entity Plugin already exists with value "{name}"')
        now = self.now()
        plugin = Plugin(new_id(), name, wanted["webhookUrl"], wanted.get("header"), [], [], now, now)
        _subscribe(plugin, wanted)
        self.plugins[name] = plugin
        return f"Webhook {name} successfully created"

    def update_webhook(self, wanted: Mapping[str, Any]) -> str:
        """The header stays when none is given."""
        plugin = self.plugin(wanted["pluginName"])
        _subscribe(plugin, wanted)
        plugin.url, plugin.updated_at = wanted["webhookUrl"], self.now()
        plugin.header = wanted.get("header", plugin.header)
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

    def _of_asset(self, subject: str, asset: Asset, author: User, handler: str | None = None, **told: Any) -> None:
        payload = {"assetId": asset.id, **told, "externalId": asset.external_id}
        legacy = {"asset_id": asset.id} if handler else {}
        self._happened(subject, asset.project, author, payload, handler, legacy)

    def _happened(
        self,
        subject: str,
        project: Project,
        author: User,
        payload: Mapping[str, Any],
        handler: str | None = None,
        legacy: Mapping[str, Any] | None = None,
    ) -> None:
        told = (new_id(), self.now(), subject, ORGANIZATION_ID, project.id, author.id)
        self._tell_and_keep(Event(*told, payload, payload, handler, legacy or {}))

    def _tell_and_keep(self, event: Event) -> None:
        self.events.append(event)
        self._tell(event)


def new_id() -> str:
    return "c" + secrets.token_hex(12)


def _reference(asset: Asset) -> dict[str, str | None]:
    return {"assetId": asset.id, "externalId": asset.external_id}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _subscribe(plugin: Plugin, wanted: Mapping[str, Any]) -> None:
    handlers, patterns = wanted.get("handlerTypes") or [], wanted.get("eventMatcher") or []
    if handlers and patterns:
        raise KiliError("invalidArguments", "Cannot have both handler types and event matcher.")
    try:
        for pattern in patterns:
            events.names(pattern)
    except ValueError as error:
        raise KiliError("invalidEventMatcher", str(error)) from None
    plugin.handler_types = [] if patterns else list(handlers or HANDLER_TYPES)
    plugin.event_matcher = list(patterns)
