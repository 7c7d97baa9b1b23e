"""A label and its project, as Kili's API gives them."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

import msgspec


class Label(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One label of one asset, by its id.

    json_response: decoded; whatever Kili stored, so not always an object. label_type: DEFAULT, REVIEW, AUTOSAVE,
    PREDICTION or INFERENCE. superseded: a newer one has taken its place, of the same author, or before or after a
    review. sent_back: the asset was sent back to the queue since, because of this label or for another reason.
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
        """A digest of what the label says. A label may be edited in place, and keeps its id."""
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
    """status: OPEN, SOLVED or CANCELLED. text: of its first comment. mid: of the object it is on, if it is on one."""

    id: str
    status: str
    text: str
    mid: str | None = None


class NewIssue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue to be raised on a label, on one of its objects if mid is given."""

    label_id: str
    text: str
    mid: str | None = None


class NewLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label to be added to an asset. referenced_label_id: of the label that a REVIEW is about."""

    asset_id: str
    json_response: dict[str, Any]
    author_id: str | None = None
    seconds_to_label: float | None = None
    model_name: str | None = None
    referenced_label_id: str | None = None
