"""`self.kili` of a plugin: methods with the names, parameters and results of Kili's SDK, over this webhook's client.

Methods that read send their request to Kili. Methods that change Kili take the same way as the changes that rules make,
so a change is made once per event, and not at all in a dry run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from annohooks.kili.api import documents
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import fragment
from annohooks.kili.api.records import NewIssue, NewLabel
from annohooks.kili.plugins.sdk_exceptions import (
    MissingArgument,
    NoSuchArgument,
    NoSuchMethod,
    NotPossibleHere,
    WrongArgument,
    as_sdk_errors,
)

Row = dict[str, Any]
Strings = Sequence[str]

# The parameters of the SDK's methods that filter, and where each one belongs in the `where` of Kili's API.
LABEL_FILTERS = {
    "asset_id": "asset.id",
    "asset_status_in": "asset.statusIn",
    "asset_external_id_in": "asset.externalIdIn",
    "asset_external_id_strictly_in": "asset.externalIdStrictlyIn",
    "author_in": "authorIn",
    "created_at": "createdAt",
    "created_at_gte": "createdAtGte",
    "created_at_lte": "createdAtLte",
    "honeypot_mark_gte": "honeypotMarkGte",
    "honeypot_mark_lte": "honeypotMarkLte",
    "id_contains": "idIn",
    "label_id": "id",
    "type_in": "typeIn",
    "user_id": "user.id",
    "category_search": "search",
}
ASSET_FILTERS = {
    "asset_id": "id",
    "asset_id_in": "idIn",
    "asset_id_not_in": "idNotIn",
    "external_id_in": "externalIdIn",
    "external_id_strictly_in": "externalIdStrictlyIn",
    "status_in": "statusIn",
    "skipped": "skipped",
    "metadata_where": "metadata",
    "created_at_gte": "createdAtGte",
    "created_at_lte": "createdAtLte",
    "updated_at_gte": "updatedAtGte",
    "updated_at_lte": "updatedAtLte",
    "consensus_mark_gte": "consensusMarkGte",
    "consensus_mark_lte": "consensusMarkLte",
    "honeypot_mark_gte": "honeypotMarkGte",
    "honeypot_mark_lte": "honeypotMarkLte",
    "label_author_in": "label.authorIn",
    "label_category_search": "label.search",
    "label_type_in": "label.typeIn",
    "issue_type": "issue.type",
    "issue_status": "issue.status",
}
ISSUE_FILTERS = {"asset_id": "asset.id", "asset_id_in": "assetIn", "issue_type": "type", "status": "status"}
PROJECT_FILTERS = {
    "project_id": "id",
    "search_query": "searchQuery",
    "archived": "archived",
    "deleted": "deleted",
    "organization_id": "organizationId",
    "starred": "starred",
    "updated_at_gte": "updatedAtGte",
    "updated_at_lte": "updatedAtLte",
}

_LABEL_FIELDS = (
    "author.email",
    "author.id",
    "id",
    "jsonResponse",
    "labelType",
    "secondsToLabel",
    "isLatestLabelForUser",
    "assetId",
)
_ASSET_FIELDS = ("content", "createdAt", "externalId", "id", "jsonMetadata", "status")
_ISSUE_FIELDS = ("id", "createdAt", "status", "type", "assetId")
_PROJECT_FIELDS = ("id", "title", "inputType", "jsonInterface", "minConsensusSize")
_LABELS_OF_ASSET = ("labels", "latestLabel", "latestLabels")
_READING = "reading for the plugin"
_COUNTING = "counting for the plugin"


class Writes(Protocol):
    """The changes that one event may make in Kili (see `annohooks.kili.writes`)."""

    def raise_issues(self, issues: Sequence[NewIssue], /) -> list[str]:
        """Ids of open issues with these texts."""

    def send_back(self, asset_id: str, /) -> bool:
        """Whether Kili sent the asset back."""

    def add_to_review(self, asset_id: str, /) -> bool:
        """Whether Kili added the asset to the review queue."""

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str, /) -> None:
        """Replaces the asset's metadata. A str is sent as it is."""

    def resolve(self, issue_id: str, /) -> None:
        """Sets an issue to solved."""

    def append_labels(self, append: Callable[[], list[str]], /) -> list[str]:
        """Ids of the labels that `append` adds."""


class _Connection(NamedTuple):
    """What the methods of one Kili object work with."""

    client: Client
    writes: Writes
    project_id: str


_CONNECTIONS: WeakKeyDictionary[Kili, _Connection] = WeakKeyDictionary()
"""Beside the objects and not in them, so that no attribute of `self.kili` leads to the client, which holds the API key.

This keeps the key out of sight, not out of reach: a plugin is the team's own code in the same process.
"""


def connect(client: Client, writes: Writes, project_id: str) -> Kili:
    """The `self.kili` of a plugin for one event of this project."""
    kili = object.__new__(Kili)
    _CONNECTIONS[kili] = _Connection(client, writes, project_id)
    return kili


class Kili:
    """A plugin's connection to Kili. A plugin uses `self.kili`; it cannot make another connection."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotPossibleHere("Kili() makes no connection here: use self.kili, which has this webhook's API key")

    def __getattr__(self, name: str) -> Any:
        methods = ", ".join(sorted(name for name in dir(Kili) if not name.startswith("_")))
        raise NoSuchMethod(f"there is no kili.{name} in this webhook; there are {methods}")

    # Methods that read

    def labels(
        self,
        project_id: str,
        asset_id: str | None = None,
        *,
        fields: Strings = _LABEL_FIELDS,
        first: int | None = None,
        skip: int = 0,
        disable_tqdm: bool | None = None,
        as_generator: bool = False,
        **filters: Any,
    ) -> Any:
        """Labels with these fields; jsonResponse is decoded. filters: LABEL_FILTERS."""
        where = _where(LABEL_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        if "asset" in where:
            _put(where, "asset.project.id", project_id)
        _fragment(fields)  # so that a wrong field is refused before the first label is requested
        rows = _CONNECTIONS[self].client.labels(project_id, where, fields, first, skip)
        return _result(rows, as_generator)

    def count_labels(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """The number of labels. filters: LABEL_FILTERS."""
        where = _where(LABEL_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        return self._count("countLabels", "LabelWhere", where)

    def assets(
        self,
        project_id: str,
        asset_id: str | None = None,
        skip: int = 0,
        fields: Strings | None = None,
        *,
        first: int | None = None,
        disable_tqdm: bool | None = None,
        as_generator: bool = False,
        **filters: Any,
    ) -> Any:
        """Assets with these fields; jsonMetadata and jsonResponse are decoded. filters: ASSET_FILTERS."""
        where = _where(ASSET_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        names = list(fields or _ASSET_FIELDS)
        urls = [f"{labels}.jsonResponseUrl" for labels in _LABELS_OF_ASSET if f"{labels}.jsonResponse" in names]
        rows = self._rows("assets", "AssetWhere", where, [*names, *urls], first, skip)
        return _result(map(self._decoded_asset, rows), as_generator)

    def _decoded_asset(self, row: Row) -> Row:
        if "jsonMetadata" in row:
            row["jsonMetadata"] = _decoded(row["jsonMetadata"])
        for name in _LABELS_OF_ASSET:
            labels = row.get(name) or []
            for label in labels if isinstance(labels, list) else [labels]:
                if "jsonResponse" in label:
                    url = label.pop("jsonResponseUrl", None)
                    label["jsonResponse"] = _CONNECTIONS[self].client.json_response(
                        label["jsonResponse"], url, _READING
                    )
        return row

    def count_assets(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """The number of assets. filters: ASSET_FILTERS."""
        where = _where(ASSET_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        return self._count("countAssets", "AssetWhere", where)

    def projects(
        self,
        project_id: str | None = None,
        *,
        fields: Strings = _PROJECT_FIELDS,
        first: int | None = None,
        skip: int = 0,
        disable_tqdm: bool | None = None,
        as_generator: bool = False,
        **filters: Any,
    ) -> Any:
        """Projects with these fields; jsonInterface is decoded. filters: PROJECT_FILTERS."""
        where = _where(PROJECT_FILTERS, filters, project_id=project_id)
        rows = self._rows("projects", "ProjectWhere", where, fields, first, skip)
        return _result(map(_decoded_project, rows), as_generator)

    def count_projects(self, project_id: str | None = None, **filters: Any) -> int:
        """The number of projects. filters: PROJECT_FILTERS."""
        return self._count("countProjects", "ProjectWhere", _where(PROJECT_FILTERS, filters, project_id=project_id))

    def issues(
        self,
        project_id: str,
        fields: Strings = _ISSUE_FIELDS,
        first: int | None = None,
        skip: int = 0,
        *,
        disable_tqdm: bool | None = None,
        as_generator: bool = False,
        **filters: Any,
    ) -> Any:
        """Issues with these fields. filters: ISSUE_FILTERS."""
        where = _where(ISSUE_FILTERS, filters)
        _put(where, "project.id", project_id)
        return _result(self._rows("issues", "IssueWhere", where, fields, first, skip), as_generator)

    def count_issues(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """The number of issues. filters: ISSUE_FILTERS."""
        where = _where(ISSUE_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        return self._count("countIssues", "IssueWhere", where)

    def _count(self, field: str, where_type: str, where: Row) -> int:
        document = documents.counting(field, where_type)
        with as_sdk_errors():
            return int(_CONNECTIONS[self].client.query(document, {"where": where}, _COUNTING))

    def _rows(
        self, field: str, where_type: str, where: Row, fields: Strings, first: int | None = None, skip: int = 0
    ) -> Iterator[Row]:
        return _CONNECTIONS[self].client.rows(field, where_type, where, _fragment(fields), _READING, first, skip)

    # Methods that change Kili

    def create_issues(
        self,
        project_id: str,
        label_id_array: Strings,
        object_mid_array: Sequence[str | None] | None = None,
        text_array: Sequence[str | None] | None = None,
    ) -> list[Row]:
        """Ids of the issues. An issue that is already open, with the same text on the same object, is not repeated."""
        if project_id != _CONNECTIONS[self].project_id:
            raise WrongArgument("issues can only be raised in the project of the event")
        count = len(label_id_array)
        mids = _of_length(count, object_mid_array=object_mid_array)
        texts = _of_length(count, text_array=text_array)
        issues = [
            NewIssue(label_id=label_id, text=text or "", mid=mid)
            for label_id, mid, text in zip(label_id_array, mids, texts, strict=True)
        ]
        with as_sdk_errors():
            return [{"id": issue_id} for issue_id in _CONNECTIONS[self].writes.raise_issues(issues)]

    def update_issue_status(self, issue_id: str, status: str) -> Row:
        """Sets an issue to SOLVED, the only status that is possible here."""
        if status != "SOLVED":
            raise WrongArgument("an issue can only be set to SOLVED by this webhook")
        with as_sdk_errors():
            _CONNECTIONS[self].writes.resolve(issue_id)
        return {"id": issue_id}

    def send_back_to_queue(
        self, asset_ids: Strings | None = None, external_ids: Strings | None = None, project_id: str | None = None
    ) -> dict[str, list[Row]]:
        """assetId and externalId of the assets, under succeeded or declined. A failure is raised: failed is empty."""
        return self._move(_CONNECTIONS[self].writes.send_back, asset_ids, external_ids, project_id)

    def add_to_review(
        self, asset_ids: Strings | None = None, external_ids: Strings | None = None, project_id: str | None = None
    ) -> dict[str, list[Row]]:
        """As for send_back_to_queue."""
        return self._move(_CONNECTIONS[self].writes.add_to_review, asset_ids, external_ids, project_id)

    def _move(
        self,
        move: Callable[[str], bool],
        asset_ids: Strings | None,
        external_ids: Strings | None,
        project_id: str | None,
    ) -> dict[str, list[Row]]:
        outcome: dict[str, list[Row]] = {"declined": [], "failed": [], "succeeded": []}
        with as_sdk_errors():
            for asset_id, external_id in self._asset_ids(asset_ids, external_ids, project_id):
                key = "succeeded" if move(asset_id) else "declined"
                outcome[key].append({"assetId": asset_id, "externalId": external_id})
        return outcome

    def update_properties_in_assets(
        self,
        asset_ids: Strings | None = None,
        external_ids: Strings | None = None,
        *,
        json_metadatas: Sequence[Mapping[str, Any] | str | None],
        project_id: str | None = None,
    ) -> list[Row]:
        """Replaces the metadata of assets, the only property that can be changed here."""
        with as_sdk_errors():
            ids = self._asset_ids(asset_ids, external_ids, project_id)
            for (asset_id, _), metadata in zip(ids, _of_length(len(ids), json_metadatas=json_metadatas), strict=True):
                if metadata is not None:
                    _CONNECTIONS[self].writes.set_metadata(asset_id, metadata)
        return [{"id": asset_id} for asset_id, _ in ids]

    def append_labels(
        self,
        asset_id_array: Strings | None = None,
        json_response_array: Sequence[dict[str, Any]] = (),
        author_id_array: Strings | None = None,
        seconds_to_label_array: Sequence[float] | None = None,
        model_name: str | None = None,
        label_type: str = "DEFAULT",
        project_id: str | None = None,
        asset_external_id_array: Strings | None = None,
        disable_tqdm: bool | None = None,
        overwrite: bool = False,
        *,
        reviewed_label_id_array: Strings | None = None,
        step_id: str | None = None,
    ) -> list[Row]:
        """Ids of the labels. The webhook ignores the events about them."""
        count = len(json_response_array)
        authors = _of_length(count, author_id_array=author_id_array)
        seconds = _of_length(count, seconds_to_label_array=seconds_to_label_array)
        reviewed = _of_length(count, reviewed_label_id_array=reviewed_label_id_array)
        with as_sdk_errors():
            assets = self._asset_ids(asset_id_array, asset_external_id_array, project_id)
            labels = [
                NewLabel(
                    asset_id=asset_id,
                    json_response=json_response,
                    author_id=author_id,
                    seconds_to_label=seconds_to_label,
                    model_name=model_name,
                    referenced_label_id=reviewed_label_id,
                )
                for (asset_id, _), json_response, author_id, seconds_to_label, reviewed_label_id in zip(
                    assets, json_response_array, authors, seconds, reviewed, strict=True
                )
            ]
            connection = _CONNECTIONS[self]

            def append() -> list[str]:
                return connection.client.append_labels(
                    labels, label_type, project_id=project_id, overwrite=overwrite, step_id=step_id
                )

            ids = connection.writes.append_labels(append)
        return [{"id": label_id} for label_id in ids]

    def _asset_ids(
        self, asset_ids: Strings | None, external_ids: Strings | None, project_id: str | None
    ) -> list[tuple[str, str | None]]:
        """The id of each asset, and its external id if the plugin named it by that."""
        if (asset_ids is None) == (external_ids is None):
            raise MissingArgument("Please provide either asset ids or external ids.")
        if asset_ids is not None:
            return [(asset_id, None) for asset_id in asset_ids]
        assert external_ids is not None
        if project_id is None:
            raise MissingArgument("External ids need the project_id.")
        where = {"project": {"id": project_id}, "externalIdStrictlyIn": list(external_ids)}
        rows = self._rows("assets", "AssetWhere", where, ["id", "externalId"])
        ids = {row["externalId"]: row["id"] for row in rows}
        if missing := [external_id for external_id in external_ids if external_id not in ids]:
            raise WrongArgument(f"{len(missing)} of the external ids belong to no asset of the project")
        return [(ids[external_id], external_id) for external_id in external_ids]


def _where(names: Mapping[str, str], filters: Mapping[str, Any], **named: Any) -> Row:
    """The `where` of Kili's API for these filters. Raises NoSuchArgument for a filter that is not in `names`."""
    where: Row = {}
    for name, value in {**named, **filters}.items():
        if name not in names:
            raise NoSuchArgument(f"there is no filter {name} in this webhook; there are {', '.join(names)}")
        if value is not None:
            _put(where, names[name], value)
    return where


def _fragment(fields: Strings) -> str:
    """The fields as a GraphQL fragment. Raises WrongArgument for text that is not the name of a field."""
    try:
        return fragment(fields)
    except ValueError as error:
        raise WrongArgument(str(error)) from None


def _put(where: Row, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        where = where.setdefault(name, {})
    where[last] = value


def _result(rows: Iterator[Row], as_generator: bool) -> Iterator[Row] | list[Row]:
    generator = _with_sdk_errors(rows)
    return generator if as_generator else list(generator)


def _with_sdk_errors(rows: Iterator[Row]) -> Iterator[Row]:
    with as_sdk_errors():
        yield from rows


def _of_length(count: int, **array: Sequence[Any] | None) -> Sequence[Any]:
    """The array that is passed by its name, or `count` Nones for None. Raises WrongArgument for another length."""
    ((name, values),) = array.items()
    if values is None:
        return [None] * count
    if len(values) != count:
        raise WrongArgument(f"{name} has {len(values)} elements, not {count}")
    return values


def _decoded_project(row: Row) -> Row:
    if isinstance(row.get("jsonInterface"), str):
        row["jsonInterface"] = _decoded(row["jsonInterface"])
    return row


def _decoded(text: Any) -> Any:
    """Decoded JSON text; {} for text that is not JSON, as in the SDK."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
