"""`self.kili` of a plugin: methods of Kili's SDK by their names and parameters, over this webhook's own client.

What a method returns is what the SDK's returns. Reading goes to Kili; what changes something goes the way of the
rules' own changes, so that it is done once, and not at all in a dry run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

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
    in_the_sdks_words,
)

Row = dict[str, Any]
Strings = Sequence[str]

# What a filter's parameter is called in Kili's API, and where it stands in it.
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


class Writes(Protocol):
    """What is changed in Kili on account of one event (see `annohooks.kili.writes`)."""

    def raise_issues(self, wanted: Sequence[NewIssue], /) -> list[str]:
        """Ids of open issues with these texts."""

    def send_back(self, asset_id: str, /) -> bool:
        """False when Kili declined."""

    def add_to_review(self, asset_id: str, /) -> bool:
        """False when Kili declined."""

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str, /) -> None:
        """Replaces the asset's metadata. A str is sent as it is."""

    def resolve(self, issue_id: str, /) -> None:
        """Sets an issue to solved."""

    def append_labels(self, append: Callable[[], list[str]], /) -> list[str]:
        """Ids of the labels that `append` adds."""


class _Do(NamedTuple):
    """What the light client may do. Plain functions, so that none of its attributes is the client, which has the key.

    It keeps the key out of sight, not out of reach: a plugin is the team's own code, in the same process.
    """

    project_id: str
    labels: Callable[[str, Row, Strings, int | None, int], Iterator[Row]]
    rows: Callable[[str, str, Row, str, int | None, int], Iterator[Row]]
    number: Callable[[str, str, Row], int]
    json_response: Callable[[Any, str | None], Any]
    raise_issues: Callable[[Sequence[NewIssue]], list[str]]
    send_back: Callable[[str], bool]
    add_to_review: Callable[[str], bool]
    set_metadata: Callable[[str, Mapping[str, Any] | str], None]
    resolve: Callable[[str], None]
    append_labels: Callable[..., list[str]]


class Kili:
    """A plugin's connection to Kili. It is `self.kili`; no other can be made here, since the key is this webhook's."""

    _do: _Do

    def __init__(self, *_: object, **__: object) -> None:
        raise NotPossibleHere("Kili() makes no connection here: use self.kili, which has this webhook's API key")

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(sorted(name for name in dir(Kili) if not name.startswith("_")))
        raise NoSuchMethod(f"there is no kili.{name} in this webhook; there are {there}")

    # What is read

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
        """Labels with these fields, jsonResponse decoded. filters: LABEL_FILTERS."""
        where = _where(LABEL_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        if "asset" in where:
            _put(where, "asset.project.id", project_id)
        _fragment(fields)  # now, and not when the first label is asked for
        return _given(self._do.labels(project_id, where, fields, first, skip), as_generator)

    def count_labels(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """How many labels there are. filters: LABEL_FILTERS."""
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
        """Assets with these fields, jsonMetadata and jsonResponse decoded. filters: ASSET_FILTERS."""
        where = _where(ASSET_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        wanted = list(fields or _ASSET_FIELDS)
        urls = [f"{labels}.jsonResponseUrl" for labels in _LABELS_OF_ASSET if f"{labels}.jsonResponse" in wanted]
        rows = self._do.rows("assets", "AssetWhere", where, _fragment([*wanted, *urls]), first, skip)
        return _given(map(self._asset, rows), as_generator)

    def _asset(self, row: Row) -> Row:
        if "jsonMetadata" in row:
            row["jsonMetadata"] = _object(row["jsonMetadata"])
        for name in _LABELS_OF_ASSET:
            labels = row.get(name) or []
            for label in labels if isinstance(labels, list) else [labels]:
                if "jsonResponse" in label:
                    url = label.pop("jsonResponseUrl", None)
                    label["jsonResponse"] = self._do.json_response(label["jsonResponse"], url)
        return row

    def count_assets(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """How many assets there are. filters: ASSET_FILTERS."""
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
        """Projects with these fields, jsonInterface decoded. filters: PROJECT_FILTERS."""
        where = _where(PROJECT_FILTERS, filters, project_id=project_id)
        rows = self._do.rows("projects", "ProjectWhere", where, _fragment(fields), first, skip)
        return _given(map(_project, rows), as_generator)

    def count_projects(self, project_id: str | None = None, **filters: Any) -> int:
        """How many projects there are. filters: PROJECT_FILTERS."""
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
        return _given(self._do.rows("issues", "IssueWhere", where, _fragment(fields), first, skip), as_generator)

    def count_issues(self, project_id: str, asset_id: str | None = None, **filters: Any) -> int:
        """How many issues there are. filters: ISSUE_FILTERS."""
        where = _where(ISSUE_FILTERS, filters, asset_id=asset_id)
        _put(where, "project.id", project_id)
        return self._count("countIssues", "IssueWhere", where)

    def _count(self, field: str, where_type: str, where: Row) -> int:
        with in_the_sdks_words():
            return self._do.number(field, where_type, where)

    # What is changed

    def create_issues(
        self,
        project_id: str,
        label_id_array: Strings,
        object_mid_array: Sequence[str | None] | None = None,
        text_array: Sequence[str | None] | None = None,
    ) -> list[Row]:
        """Ids of the issues. One that is open already, with the same text on the same object, is not raised again."""
        if project_id != self._do.project_id:
            raise WrongArgument("issues can only be raised in the project of the event")
        count = len(label_id_array)
        mids = _of_length(count, object_mid_array=object_mid_array)
        texts = _of_length(count, text_array=text_array)
        issues = [
            NewIssue(label_id=label_id, text=text or "", mid=mid)
            for label_id, mid, text in zip(label_id_array, mids, texts, strict=True)
        ]
        with in_the_sdks_words():
            return [{"id": issue_id} for issue_id in self._do.raise_issues(issues)]

    def update_issue_status(self, issue_id: str, status: str) -> Row:
        """Solves an issue; it cannot be given another status here."""
        if status != "SOLVED":
            raise WrongArgument("an issue can only be set to SOLVED by this webhook")
        with in_the_sdks_words():
            self._do.resolve(issue_id)
        return {"id": issue_id}

    def send_back_to_queue(
        self, asset_ids: Strings | None = None, external_ids: Strings | None = None, project_id: str | None = None
    ) -> dict[str, list[Row]]:
        """succeeded and declined: assetId and externalId of each; failed is empty, for a failure is raised."""
        return self._act(self._do.send_back, asset_ids, external_ids, project_id)

    def add_to_review(
        self, asset_ids: Strings | None = None, external_ids: Strings | None = None, project_id: str | None = None
    ) -> dict[str, list[Row]]:
        """As of send_back_to_queue."""
        return self._act(self._do.add_to_review, asset_ids, external_ids, project_id)

    def _act(
        self,
        act: Callable[[str], bool],
        asset_ids: Strings | None,
        external_ids: Strings | None,
        project_id: str | None,
    ) -> dict[str, list[Row]]:
        outcome: dict[str, list[Row]] = {"declined": [], "failed": [], "succeeded": []}
        with in_the_sdks_words():
            for asset_id, external_id in self._ids(asset_ids, external_ids, project_id):
                key = "succeeded" if act(asset_id) else "declined"
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
        """Replaces metadata, the only property that can be changed here."""
        with in_the_sdks_words():
            ids = self._ids(asset_ids, external_ids, project_id)
            for (asset_id, _), metadata in zip(ids, _of_length(len(ids), json_metadatas=json_metadatas), strict=True):
                if metadata is not None:
                    self._do.set_metadata(asset_id, metadata)
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
        """Ids of the labels. Their own events are not acted on."""
        count = len(json_response_array)
        authors = _of_length(count, author_id_array=author_id_array)
        seconds = _of_length(count, seconds_to_label_array=seconds_to_label_array)
        reviewed = _of_length(count, reviewed_label_id_array=reviewed_label_id_array)
        with in_the_sdks_words():
            assets = self._ids(asset_id_array, asset_external_id_array, project_id)
            labels = [
                NewLabel(
                    asset_id=asset_id,
                    json_response=json_response,
                    author_id=author,
                    seconds_to_label=second,
                    model_name=model_name,
                    referenced_label_id=about,
                )
                for (asset_id, _), json_response, author, second, about in zip(
                    assets, json_response_array, authors, seconds, reviewed, strict=True
                )
            ]
            ids = self._do.append_labels(
                labels, label_type, project_id=project_id, overwrite=overwrite, step_id=step_id
            )
        return [{"id": label_id} for label_id in ids]

    def _ids(
        self, asset_ids: Strings | None, external_ids: Strings | None, project_id: str | None
    ) -> list[tuple[str, str | None]]:
        """Id and, when it was asked by that, external id of each asset."""
        if (asset_ids is None) == (external_ids is None):
            raise MissingArgument("Please provide either asset ids or external ids.")
        if asset_ids is not None:
            return [(asset_id, None) for asset_id in asset_ids]
        assert external_ids is not None
        if project_id is None:
            raise MissingArgument("External ids need the project_id.")
        where = {"project": {"id": project_id}, "externalIdStrictlyIn": list(external_ids)}
        rows = self._do.rows("assets", "AssetWhere", where, _fragment(["id", "externalId"]), None, 0)
        ids = {row["externalId"]: row["id"] for row in rows}
        if missing := [external_id for external_id in external_ids if external_id not in ids]:
            raise WrongArgument(f"{len(missing)} of the external ids are of no asset of the project")
        return [(ids[external_id], external_id) for external_id in external_ids]


def connect(client: Client, writes: Writes, project_id: str) -> Kili:
    """The light client for one event of this project."""

    def number(field: str, where_type: str, where: Row) -> int:
        answer = client.query(documents.counting(field, where_type), {"where": where}, "counting for the plugin")
        return int(answer)

    def append_labels(*args: Any, **options: Any) -> list[str]:
        return writes.append_labels(lambda: client.append_labels(*args, **options))

    doing = "reading for the plugin"
    kili = object.__new__(Kili)
    kili._do = _Do(
        project_id=project_id,
        labels=lambda of, where, fields, first, skip: client.labels(of, where, fields, first, skip),
        rows=lambda field, kind, where, fields, first, skip: client.rows(
            field, kind, where, fields, doing, first, skip
        ),
        number=number,
        json_response=lambda text, url: client.json_response(text, url, doing),
        raise_issues=lambda issues: writes.raise_issues(issues),
        send_back=lambda asset_id: writes.send_back(asset_id),
        add_to_review=lambda asset_id: writes.add_to_review(asset_id),
        set_metadata=lambda asset_id, metadata: writes.set_metadata(asset_id, metadata),
        resolve=lambda issue_id: writes.resolve(issue_id),
        append_labels=append_labels,
    )
    return kili


def _where(names: Mapping[str, str], filters: Mapping[str, Any], **named: Any) -> Row:
    """The filter as Kili's API has it. Raises NoSuchArgument for one that is not there."""
    where: Row = {}
    for name, value in {**named, **filters}.items():
        if name not in names:
            raise NoSuchArgument(f"there is no filter {name} in this webhook; there are {', '.join(names)}")
        if value is not None:
            _put(where, names[name], value)
    return where


def _fragment(fields: Strings) -> str:
    """Raises WrongArgument for what is not a field's name."""
    try:
        return fragment(fields)
    except ValueError as error:
        raise WrongArgument(str(error)) from None


def _put(where: Row, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        where = where.setdefault(name, {})
    where[last] = value


def _given(rows: Iterator[Row], as_generator: bool) -> Iterator[Row] | list[Row]:
    spoken = _in_the_sdks_words(rows)
    return spoken if as_generator else list(spoken)


def _in_the_sdks_words(rows: Iterator[Row]) -> Iterator[Row]:
    with in_the_sdks_words():
        yield from rows


def _of_length(count: int, **array: Sequence[Any] | None) -> Sequence[Any]:
    """The one array given, or as many Nones. Raises WrongArgument when it is of another length."""
    ((name, values),) = array.items()
    if values is None:
        return [None] * count
    if len(values) != count:
        raise WrongArgument(f"{name} has {len(values)} elements, not {count}")
    return values


def _project(row: Row) -> Row:
    if isinstance(row.get("jsonInterface"), str):
        row["jsonInterface"] = _object(row["jsonInterface"])
    return row


def _object(text: Any) -> Any:
    """What the SDK makes of JSON text that Kili keeps: {} of what is none."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
