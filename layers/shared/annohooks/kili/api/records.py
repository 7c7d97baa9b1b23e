"""What is read from Kili and sent to it: labels, projects, issues."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

import msgspec


class Label(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One label of one asset.

    json_response: decoded. It is what Kili stored, so not always an object. label_type: DEFAULT, REVIEW, AUTOSAVE,
    PREDICTION or INFERENCE. superseded: a newer label replaces it (see LabelRow.is_superseded). sent_back: the asset
    has been sent back to the queue since, for whatever reason.
    """

    id: str
    project_id: str
    asset_id: str
    label_type: str
    json_response: Any
    author_id: str | None = None
    superseded: bool = False
    sent_back: bool = False
    seconds_to_label: float | None = None
    model_name: str | None = None
    created_at: str | None = None

    @cached_property
    def content(self) -> str:
        """A digest of json_response. A label that is edited keeps its id."""
        try:
            text = json.dumps(self.json_response, sort_keys=True)
        except RecursionError:
            text = ""
        return hashlib.sha256(text.encode()).hexdigest()


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """input_type: IMAGE, VIDEO, PDF, TEXT, GEOSPATIAL, LLM_... interface: the jsonInterface, decoded, or {}."""

    id: str
    input_type: str
    interface: dict[str, Any]


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """status: OPEN, SOLVED or CANCELLED. text: of its first comment. mid: of its object; None for the whole label."""

    id: str
    status: str
    text: str
    mid: str | None = None


class NewIssue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue to create on a label, or on one of its objects if there is a mid."""

    label_id: str
    text: str
    mid: str | None = None


class NewLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label to add to an asset. referenced_label_id: the label that a REVIEW is about."""

    asset_id: str
    json_response: dict[str, Any]
    author_id: str | None = None
    seconds_to_label: float | None = None
    model_name: str | None = None
    referenced_label_id: str | None = None
