"""The records of the simulated Kili, one class for each kind. schema.graphql has the same fields in camelCase."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TO_BE_LABELLED = ("TODO", "ONGOING")
HANDLERS = {"DEFAULT": "onSubmit", "REVIEW": "onReview"}  # the legacy event of a label, by its type


@dataclass
class User:
    """api_key: None for a user who only works in the browser."""

    id: str
    email: str
    api_key: str | None = None


@dataclass
class Project:
    """json_interface: JSON text."""

    id: str
    title: str
    input_type: str
    json_interface: str
    description: str = ""
    consensus_tot_coverage: int = 0
    min_consensus_size: int = 1
    review_coverage: int = 0
    workflow_version: str = "V1"
    roles: list[object] = field(default_factory=list)

    @property
    def steps(self) -> list[dict[str, str]]:
        return [
            {"id": self.step_id("labeling"), "name": "Labeling", "type": "DEFAULT"},
            {"id": self.step_id("review"), "name": "Review", "type": "REVIEW"},
        ]

    def step_id(self, name: str) -> str:
        return f"{self.id}-{name}"


@dataclass
class Asset:
    """labels: in the order of their creation. json_metadata: JSON text."""

    id: str
    project: Project
    external_id: str | None
    width: int | None
    height: int | None
    created_at: str
    status: str = "TODO"
    skipped: bool = False
    is_honeypot: bool = False
    current_step: None = None  # newer workflows are not simulated
    content: str = ""
    json_content: str = ""
    json_metadata: str = "{}"
    labels: list[Label] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def resolution(self) -> dict[str, int | None] | None:
        return None if self.width is None else {"width": self.width, "height": self.height}

    @property
    def latest_label(self) -> Label | None:
        return next((label for label in reversed(self.labels) if label.label_type in HANDLERS), None)

    @property
    def latest_labels(self) -> list[Label]:
        return [label for label in self.labels if label.is_latest_label_for_user]


@dataclass
class Label:
    """json_response: the stored text, JSON or not. annotations: of an LLM project."""

    id: str
    asset: Asset
    label_type: str
    author: User
    json_response: str
    created_at: str
    updated_at: str = ""
    seconds_to_label: float | None = None
    model_name: str | None = None
    is_latest_label_for_user: bool = False
    is_latest_default_label_for_user: bool = False
    is_latest_review_label_for_user: bool = False
    is_sent_back_to_queue: bool = False
    annotations: list[dict[str, Any]] = field(default_factory=list)
    signature: str = ""

    def __post_init__(self) -> None:
        self.updated_at = self.updated_at or self.created_at

    @property
    def asset_id(self) -> str:
        return self.asset.id

    @property
    def label_of(self) -> Asset:
        return self.asset

    @property
    def decoded(self) -> Any:
        """The jsonResponse, {} if it is not JSON."""
        try:
            return json.loads(self.json_response)
        except (ValueError, RecursionError):
            return {}

    @property
    def objects_by_category(self) -> Counter[str]:
        """The number of annotations of each "JOB.CATEGORY", without nested jobs."""
        counts: Counter[str] = Counter()
        jobs = self.decoded if isinstance(self.decoded, dict) else {}
        for job, answer in jobs.items():
            annotations = answer.get("annotations") if isinstance(answer, dict) else None
            for annotation in annotations if isinstance(annotations, list) else []:
                categories = annotation.get("categories") if isinstance(annotation, dict) else None
                for category in categories if isinstance(categories, list) else []:
                    if isinstance(category, dict):
                        counts[f"{job}.{category.get('name')}"] += 1
        return counts

    @property
    def number_of_annotations(self) -> int:
        return self.objects_by_category.total()

    @property
    def search(self) -> dict[str, Any]:
        return {
            "numberOfAnnotations": self.number_of_annotations,
            "numberOfAnnotationsByObject": dict(self.objects_by_category),
        }


@dataclass
class Comment:
    id: str
    text: str | None
    author: User
    created_at: str

    @property
    def author_id_user(self) -> str:
        return self.author.id


@dataclass
class Issue:
    """status: OPEN, SOLVED or CANCELLED. object_mid: mid of the object with the issue."""

    id: str
    asset: Asset
    label: Label | None
    object_mid: str | None
    type: str
    author: User
    created_at: str
    comments: list[Comment]
    status: str = "OPEN"

    @property
    def asset_id(self) -> str:
        return self.asset.id

    @property
    def label_id(self) -> str | None:
        return self.label.id if self.label else None


@dataclass
class Plugin:
    """A webhook with handler_types or an event_matcher. project_ids: the projects it is activated on."""

    id: str
    name: str
    url: str
    header: str | None
    handler_types: list[str]
    event_matcher: list[str]
    created_at: str
    updated_at: str
    project_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """An event. subject: its name in kili-events. handler: its legacy event type, if it has one.

    payload: of the generation "whole". legacy, flat: payloads of the older generations.
    """

    id: str
    created_at: str
    subject: str
    organization_id: str
    project_id: str
    user_id: str
    payload: Mapping[str, Any]
    flat: Mapping[str, Any]
    handler: str | None = None
    legacy: Mapping[str, Any] = field(default_factory=dict)
