"""What the webhook and a team's plugin read from Kili."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.errors import NotFound, Upstream, UpstreamStatus
from annohooks.kili.api import cache, documents, llm_labels
from annohooks.kili.api.answers import AssetRow, Id, IssueRow, LabelAndProject, LabelRow, ProjectRow, converted, decoded
from annohooks.kili.api.graphql import ANSWER_S, PLATFORM, REPLY_BYTES, Session, fragment
from annohooks.kili.api.records import Issue, Label, Project
from annohooks.kili.api.storage import NotStored, Storage
from annohooks.kili.settings import Settings

PAGE = 100
"""The most rows of an answer, and the most objects that one mutation changes."""
MOST_ROWS = 10_000
"""The most rows that are read page by page."""

_LABEL_LAG = retry.Backoff(first_s=0.5, jitter=0, attempts=4)
"""A label that was just submitted may not be readable yet."""
_OVERHEAD_BYTES = 2_000_000
"""Of an answer with a label and its project's interface, beyond twice the label: JSON within JSON escapes quotes."""


class _NotThere(NotFound):
    """Kili has no such label, or not its content. Both may come a moment later."""

    def __init__(self) -> None:
        super().__init__(f"{PLATFORM} has no such label in this project, or not yet what is in it.")


class Reader:
    """Queries with one API key, all before one deadline; use it in a `with` statement.

    Everything is read from Kili each time, except for projects and the key's own user. Every method raises Upstream
    (Refused when Kili answers with an error) and DeadlineExceeded.
    """

    def __init__(self, settings: Settings, api_key: str, deadline: Deadline) -> None:
        self._settings = settings
        self._endpoint = settings.kili_endpoint
        self._deadline = deadline
        self._session = Session(self._endpoint, api_key, deadline, settings.kili_read_timeout_s)
        self._storage = Storage(settings, deadline)
        self._viewer = (self._endpoint, hash(api_key))

    def close(self) -> None:
        """Closes every connection."""
        self._session.close()
        self._storage.close()

    def query(self, document: str, variables: dict[str, Any], doing: str, max_bytes: int = REPLY_BYTES) -> Any:
        """The value of a query's only root field, or all of them in a dict if there are several."""
        return self._session.execute(document, variables, doing=doing, max_bytes=max_bytes)

    def label(self, project_id: str, label_id: str) -> Label:
        """One label by its id, as it is now. Raises NotFound when Kili has no such label, or not its content.

        A label that was just submitted may not be readable yet, so it is asked for a few times.
        """
        return retry.call(
            lambda: self._label(project_id, label_id),
            _LABEL_LAG,
            lambda error: isinstance(error, _NotThere),
            self._deadline,
            ANSWER_S,
        )

    def _label(self, project_id: str, label_id: str) -> Label:
        doing = "reading the label"
        variables: dict[str, Any] = {"where": {"id": label_id, "project": {"id": project_id}}, "first": 1, "skip": 0}
        project = self._cached_project(project_id)
        if project is not None:
            rows = self.query(documents.LABEL, variables, doing, self._label_bytes)
        else:
            both = converted(
                self.query(
                    documents.LABEL_AND_PROJECT,
                    {**variables, "project": {"id": project_id}},
                    doing,
                    self._label_bytes,
                ),
                LabelAndProject,
                doing,
            )
            rows, project = both.data, self._project(project_id, both.projects, doing)
        row = next((row for row in converted(rows or [], list[LabelRow], doing) if row.id == label_id), None)
        if row is None:
            raise _NotThere
        is_llm = project.input_type in llm_labels.PROJECTS
        return Label(
            id=row.id,
            project_id=project_id,
            asset_id=row.asset_id,
            label_type=row.label_type,
            json_response=self._of_annotations(variables, doing) if is_llm else self._content(row, doing),
            author_id=row.author.id if row.author else None,
            superseded=row.is_superseded(),
            sent_back=row.is_sent_back(),
            seconds_to_label=row.seconds_to_label,
            model_name=row.model_name,
            created_at=row.created_at,
        )

    def _content(self, row: LabelRow, doing: str) -> Any:
        if row.json_response is None and not row.json_response_url:
            raise _NotThere
        try:
            return self.json_response(row.json_response, row.json_response_url, doing)
        except NotStored:
            raise _NotThere from None
        except UpstreamStatus as error:
            if error.reply_status != 404:
                raise
            raise _NotThere from None

    def is_due_back(self, project_id: str, label_id: str) -> bool:
        """Whether a label is still the current one, and its asset is not in the queue because of it."""
        doing = "reading the label again"
        where = {"id": label_id, "project": {"id": project_id}}
        rows = self.query(documents.LABEL_STATE, {"where": where, "first": 1, "skip": 0}, doing)
        labels = converted(rows or [], list[LabelRow], doing)
        return bool(labels) and not labels[0].is_superseded() and not labels[0].is_sent_back()

    def labels(
        self, project_id: str, where: Mapping[str, Any], fields: Sequence[str], first: int | None = None, skip: int = 0
    ) -> Iterator[dict[str, Any]]:
        """Labels with these fields, as Kili's SDK returns them: a jsonResponse is decoded."""
        doing = "reading labels"
        if "jsonResponse" not in fields:
            yield from self.rows("labels", "LabelWhere", where, fragment(fields), doing, first, skip)
            return
        is_llm = self.project(project_id).input_type in llm_labels.PROJECTS
        others = [field for field in fields if field not in ("jsonResponse", "jsonResponseUrl")]
        asked = f"{fragment(others)} {llm_labels.FIELDS if is_llm else 'jsonResponse jsonResponseUrl'}"
        for row in self.rows("labels", "LabelWhere", where, asked, doing, first, skip, self._label_bytes):
            if is_llm:
                row["jsonResponse"] = _from_annotations(row.pop("annotations", None), doing)
            else:
                url = row.pop("jsonResponseUrl", None)
                row["jsonResponse"] = self.json_response(row.get("jsonResponse"), url, doing)
            yield row

    @property
    def _label_bytes(self) -> int:
        return 2 * self._settings.kili_max_label_bytes + _OVERHEAD_BYTES

    def _of_annotations(self, variables: dict[str, Any], doing: str) -> dict[str, Any]:
        rows = self.query(documents.ANNOTATIONS, variables, doing, self._label_bytes)
        return _from_annotations(rows[0].get("annotations") if rows else None, doing)

    def json_response(self, text: Any, url: str | None, doing: str) -> Any:
        """A label's jsonResponse, decoded: from where Kili keeps it if there is a URL, else from its text."""
        return self._storage.json_response(text, url, doing)

    def project(self, project_id: str) -> Project:
        """The project with its interface, at most five minutes old. Raises NotFound."""
        cached = self._cached_project(project_id)
        if cached is not None:
            return cached
        doing = "reading the project"
        variables = {"where": {"id": project_id}, "first": 1, "skip": 0}
        return self._project(project_id, self.query(documents.PROJECT, variables, doing), doing)

    def _cached_project(self, project_id: str) -> Project | None:
        return cache.projects.get((self._endpoint, project_id))

    def _project(self, project_id: str, rows: Any, doing: str) -> Project:
        projects = converted(rows or [], list[ProjectRow], doing)
        if not projects:
            raise NotFound(f"{PLATFORM} has no such project, or the API key may not see it.")
        interface = projects[0].json_interface
        if isinstance(interface, str):
            interface = decoded(interface.encode(), doing)
        project = Project(
            id=project_id,
            input_type=projects[0].input_type,
            interface=interface if isinstance(interface, dict) else {},
        )
        return cache.projects.put((self._endpoint, project_id), project)

    def size_px(self, project_id: str, asset_id: str) -> tuple[int, int] | None:
        """Width and height of an asset. None when Kili does not know them."""
        doing = "reading the asset's size"
        where = {"id": asset_id, "project": {"id": project_id}}
        rows = self.query(documents.SIZE, {"where": where, "first": 1, "skip": 0}, doing)
        assets = converted(rows or [], list[AssetRow], doing)
        size = assets[0].resolution if assets else None
        return (size.width, size.height) if size and size.width and size.height else None

    def issues(self, project_id: str, asset_id: str) -> list[Issue]:
        """Every issue of an asset, whatever its status; no questions. Raises Upstream if there are too many."""
        where = {"project": {"id": project_id}, "asset": {"id": asset_id}, "type": "ISSUE"}
        doing = "reading the asset's issues"
        rows = converted(list(self._pages(documents.ISSUES, where, doing)), list[IssueRow], doing)
        return [
            Issue(
                id=issue.id,
                status=issue.status,
                text=(issue.comments[0].text or "") if issue.comments else "",
                mid=issue.object_mid,
            )
            # An issue raised between two pages moves the others, so one may stand on both pages.
            for issue in {issue.id: issue for issue in rows}.values()
        ]

    def events(self, project_id: str, subject: str, since: str) -> Iterator[dict[str, Any]]:
        """A project's events of one subject since a moment (ISO 8601), oldest first.

        Raises Upstream if there are too many.
        """
        where = {"projectId": project_id, "event": subject, "createdAtGte": since}
        doing = "reading the project's events"
        for skip in range(0, MOST_ROWS, PAGE):
            pagination = {"skip": skip, "first": PAGE}
            variables = {"where": where, "pagination": pagination, "order": "asc"}
            rows = _rows(self.query(documents.EVENTS, variables, doing))
            yield from rows
            if len(rows) < PAGE:
                return
        raise Upstream(f"{PLATFORM} has more than {MOST_ROWS} events of this project since then.")

    def viewer_id(self) -> str:
        """Id of the user whose API key this is."""
        cached = cache.viewers.get(self._viewer)
        if cached is not None:
            return cached
        doing = "checking the API key"
        return cache.viewers.put(self._viewer, converted(self.query(documents.VIEWER, {}, doing), Id, doing).id)

    def rows(
        self,
        field: str,
        where_type: str,
        where: Mapping[str, Any],
        fields: str,
        doing: str,
        first: int | None = None,
        skip: int = 0,
        max_bytes: int = REPLY_BYTES,
    ) -> Iterator[dict[str, Any]]:
        """The rows that a filter selects, page by page: `first` of them, or all, after `skip`.

        Raises Upstream if there are too many.
        """
        return self._pages(documents.listing(field, where_type, fields), where, doing, first, skip, max_bytes)

    def _pages(
        self,
        document: str,
        where: Mapping[str, Any],
        doing: str,
        first: int | None = None,
        skip: int = 0,
        max_bytes: int = REPLY_BYTES,
    ) -> Iterator[dict[str, Any]]:
        for start in range(0, MOST_ROWS, PAGE):
            size = PAGE if first is None else min(PAGE, first - start)
            if size <= 0:
                return
            variables = {"where": where, "first": size, "skip": skip + start}
            rows = _rows(self.query(document, variables, doing, max_bytes))
            yield from rows
            if len(rows) < size:
                return
        if first is None or first > MOST_ROWS:
            raise Upstream(f"{PLATFORM} has more than {MOST_ROWS} rows for this; stopped while {doing}.")


def _rows(answer: Any) -> list[dict[str, Any]]:
    return converted(answer or [], list[dict[str, Any]], "reading a page")


def _from_annotations(annotations: Any, doing: str) -> dict[str, Any]:
    try:
        return llm_labels.json_response(annotations)
    except (msgspec.ValidationError, RecursionError):
        raise Upstream(f"{PLATFORM} answered with annotations that cannot be read while {doing}.") from None
