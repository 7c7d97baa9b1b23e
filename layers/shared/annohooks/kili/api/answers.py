"""The shapes of Kili's answers, as far as they are read."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from annohooks.core.errors import Upstream
from annohooks.core.json_text import any_json
from annohooks.kili.api.graphql import PLATFORM

T = TypeVar("T")


class Id(msgspec.Struct):
    """A row of which only the id is read."""

    id: str


class LabelOfAsset(msgspec.Struct, rename="camel", kw_only=True):
    """One of an asset's labels."""

    id: str
    label_type: str
    author: Id | None = None
    created_at: str | None = None


class AssetOfLabel(msgspec.Struct):
    """The asset that a label belongs to, with its other labels."""

    status: str | None = None
    labels: list[LabelOfAsset] | None = None


class LabelRow(LabelOfAsset, rename="camel", kw_only=True):
    """A label with its asset. json_response is null when json_response_url says where the content is."""

    asset_id: str
    is_latest_label_for_user: bool | None = None
    is_sent_back_to_queue: bool | None = None
    seconds_to_label: float | None = None
    model_name: str | None = None
    label_of: AssetOfLabel | None = None
    json_response: Any = None
    json_response_url: str | None = None

    def is_superseded(self) -> bool:
        """Whether a newer label replaces this one: the next label of the same author, or a review.

        A newer label of anybody replaces a review. Drafts and predictions replace nothing. Of two labels created at
        the same moment, Kili's isLatestLabelForUser decides.
        """
        return any(
            (other.created_at, self.is_latest_label_for_user is False) > (self.created_at, False)
            and other.label_type in ("DEFAULT", "REVIEW")
            and ("REVIEW" in (self.label_type, other.label_type) or other.author == self.author)
            for other in (self.label_of and self.label_of.labels) or []
            if other.id != self.id and other.created_at and self.created_at
        )

    def is_sent_back(self) -> bool:
        """Whether the asset is in the queue again because of this label.

        Kili leaves isSentBackToQueue true after somebody else has labelled the asset again, so the asset's status
        counts too. Kili's newer workflows have other statuses; there only isSentBackToQueue counts.
        """
        status = self.label_of.status if self.label_of else None
        return bool(self.is_sent_back_to_queue) and status not in ("LABELED", "TO_REVIEW", "REVIEWED")


class ProjectRow(msgspec.Struct, rename="camel"):
    """A project. json_interface: JSON text, or the object itself."""

    input_type: str
    json_interface: Any = None


class LabelAndProject(msgspec.Struct):
    """What one request for a label and its project answers."""

    data: Any
    projects: Any


class Resolution(msgspec.Struct):
    """Pixels of an asset."""

    width: int | None = None
    height: int | None = None


class AssetRow(msgspec.Struct):
    """An asset of which only the size is read."""

    resolution: Resolution | None = None


class Comment(msgspec.Struct):
    """A comment on an issue. The first one is the issue's text."""

    text: str | None = None


class IssueRow(msgspec.Struct, rename="camel"):
    """An issue."""

    id: str
    status: str
    object_mid: str | None = None
    comments: list[Comment] | None = None


class Outcome(msgspec.Struct):
    """What became of the assets of a mutation."""

    succeeded: list[Any]
    declined: list[Any]
    failed: list[Any]


def converted(answer: Any, shape: type[T], doing: str) -> T:
    """The answer in the shape that was asked for. Raises Upstream if it has another shape."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError:
        raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.") from None


def decoded(content: bytes, doing: str) -> Any:
    """The JSON value of a text. Raises Upstream if it is not JSON."""
    try:
        return any_json(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Upstream(f"{PLATFORM} sent something that is not JSON while {doing}.") from None
