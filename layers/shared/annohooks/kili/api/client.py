"""Kili's API, as far as a webhook and a team's plugin need it, with one API key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Forbidden, NotFound
from annohooks.core.http import Outbound, Upstream, UpstreamStatus
from annohooks.core.json_text import any_json
from annohooks.core.observability import logger
from annohooks.core.origins import Origin, split_url
from annohooks.kili.api import documents, llm_labels
from annohooks.kili.api.graphql import ANSWER_S, PLATFORM, REPLY_BYTES, Refused, Session, fragment
from annohooks.kili.api.records import Issue, Label, NewIssue, NewLabel, Project
from annohooks.kili.settings import Endpoint, Settings

T = TypeVar("T")

PAGE = 100
"""Rows in an answer, and things changed by one mutation, at most."""
MOST_ROWS = 10_000
"""Of anything that is read page by page."""

_KEPT_S = 300.0
_MOST_KEPT = 200
_LAGS_S = (0.5, 1.0, 2.0)
_STORAGE_ATTEMPTS = 3
_OVERHEAD_BYTES = (
    2_000_000  # of an answer with a label in it, above twice its size: quoted in JSON, beside an interface
)


class _Id(msgspec.Struct):
    id: str


class _Sibling(msgspec.Struct, rename="camel", kw_only=True):
    """One of an asset's labels."""

    id: str
    label_type: str
    author: _Id | None = None
    created_at: str | None = None


class _LabelOf(msgspec.Struct):
    status: str | None = None
    labels: list[_Sibling] | None = None


class _LabelFields(_Sibling, rename="camel", kw_only=True):
    asset_id: str
    is_latest_label_for_user: bool | None = None
    is_sent_back_to_queue: bool | None = None
    seconds_to_label: float | None = None
    model_name: str | None = None
    label_of: _LabelOf | None = None
    json_response: Any = None
    json_response_url: str | None = None

    def is_superseded(self) -> bool:
        """The next label of its author takes a label's place, and so does a review; a review's place takes any label.

        Drafts and predictions take nobody's place. Of two labels of the same moment Kili says which is the latest.
        """
        return any(
            (other.created_at, self.is_latest_label_for_user is False) > (self.created_at, False)
            and other.label_type in ("DEFAULT", "REVIEW")
            and ("REVIEW" in (self.label_type, other.label_type) or other.author == self.author)
            for other in (self.label_of and self.label_of.labels) or []
            if other.id != self.id and other.created_at and self.created_at
        )

    def is_sent_back(self) -> bool:
        """The mark stays on a label when its asset has been labelled anew by somebody else: so its status counts, too.

        Kili's newer workflows have other statuses; there the mark is all there is.
        """
        status = self.label_of.status if self.label_of else None
        return bool(self.is_sent_back_to_queue) and status not in ("LABELED", "TO_REVIEW", "REVIEWED")


class _ProjectFields(msgspec.Struct, rename="camel"):
    input_type: str
    json_interface: Any = None


class _LabelAndProject(msgspec.Struct):
    data: Any
    projects: Any


class _Resolution(msgspec.Struct):
    width: int | None = None
    height: int | None = None


class _AssetFields(msgspec.Struct):
    resolution: _Resolution | None = None


class _Comment(msgspec.Struct):
    text: str | None = None


class _IssueFields(msgspec.Struct, rename="camel"):
    id: str
    status: str
    object_mid: str | None = None
    comments: list[_Comment] | None = None


class _Outcome(msgspec.Struct):
    succeeded: list[Any]
    declined: list[Any]
    failed: list[Any]


class _NotStored(Upstream):
    """Where a label's jsonResponse should be there is nothing, not even {}."""


class Kept(Generic[T]):
    """What changes seldom, kept by the process for some minutes, and bounded in number."""

    def __init__(self) -> None:
        self._values: dict[object, tuple[float, T]] = {}

    def get(self, key: object) -> T | None:
        """The value, unless there is none or it is too old."""
        moment_s, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < moment_s else None

    def keep(self, key: object, value: T) -> T:
        """The value, which is known by this key from now on."""
        if len(self._values) >= _MOST_KEPT:
            self._values.clear()
        self._values[key] = (time.monotonic() + _KEPT_S, value)
        return value

    def forget(self) -> None:
        self._values.clear()


projects: Kept[Project] = Kept()
viewers: Kept[str] = Kept()
without_new_send_back: Kept[bool] = Kept()


class Client:
    """Calls to Kili with one API key, all before one deadline; use it in a `with` statement.

    Whatever is read again is read from Kili again, except for projects and the key's own user. Every method raises
    Upstream (Refused when Kili answers with an error), DeadlineExceeded, and when it changes something OutcomeUnknown.
    Source: protocol reference, section 2.
    """

    def __init__(self, settings: Settings, api_key: str, deadline: Deadline) -> None:
        self._settings = settings
        self._endpoint: Endpoint = settings.kili_endpoint
        self._deadline = deadline
        self._session = Session(self._endpoint, api_key, deadline, settings.kili_read_timeout_s)
        self._viewer = (self._endpoint, hash(api_key))
        self._storages: dict[Origin, Outbound] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        for storage in self._storages.values():
            storage.close()

    # What is read

    def query(self, document: str, variables: dict[str, Any], doing: str) -> Any:
        """The value of a query's root field."""
        return self._session.execute(document, variables, doing=doing)

    def label(self, project_id: str, label_id: str) -> Label:
        """One label by its id, as it is now. Raises NotFound when Kili has none, or not what is in it.

        A label that was submitted a moment ago may not be there yet, so it is asked for a few times.
        """
        label = self._label(project_id, label_id)
        for lag_s in _LAGS_S:
            if label is not None or self._deadline.remaining_s() < lag_s + ANSWER_S:
                break
            time.sleep(lag_s)
            label = self._label(project_id, label_id)
        if label is None:
            raise NotFound(f"{PLATFORM} has no such label in this project, or not yet what is in it.")
        return label

    def is_due_back(self, project_id: str, label_id: str) -> bool:
        """Whether a label still stands for its asset, which is not in the queue on account of it. Reads no content."""
        doing = "looking at the label again"
        where = {"id": label_id, "project": {"id": project_id}}
        rows = self._execute(documents.LABEL_STATE, {"where": where, "first": 1, "skip": 0}, doing)
        labels = _converted(rows or [], list[_LabelFields], doing)
        return bool(labels) and not labels[0].is_superseded() and not labels[0].is_sent_back()

    def _label(self, project_id: str, label_id: str) -> Label | None:
        doing = "reading the label"
        variables: dict[str, Any] = {"where": {"id": label_id, "project": {"id": project_id}}, "first": 1, "skip": 0}
        project = self._kept_project(project_id)
        if project is not None:
            rows = self._execute(documents.LABEL, variables, doing, self._label_bytes)
        else:
            variables["project"] = {"id": project_id}
            answer = self._execute(documents.LABEL_AND_PROJECT, variables, doing, self._label_bytes)
            both = _converted(answer, _LabelAndProject, doing)
            rows, project = both.data, self._project(project_id, both.projects, doing)
        fields = next((row for row in _converted(rows or [], list[_LabelFields], doing) if row.id == label_id), None)
        if fields is None:
            return None
        if project.input_type in llm_labels.PROJECTS:
            json_response = self._of_annotations(variables, doing)
        elif fields.json_response is None and not fields.json_response_url:
            return None
        else:
            try:
                json_response = self.json_response(fields.json_response, fields.json_response_url, doing)
            except _NotStored:
                return None
            except UpstreamStatus as error:
                if error.reply_status != 404:
                    raise
                return None
        return Label(
            id=fields.id,
            project_id=project_id,
            asset_id=fields.asset_id,
            label_type=fields.label_type,
            json_response=json_response,
            author_id=fields.author.id if fields.author else None,
            superseded=fields.is_superseded(),
            sent_back=fields.is_sent_back(),
            seconds_to_label=fields.seconds_to_label,
            model_name=fields.model_name,
            created_at=fields.created_at,
        )

    def labels(
        self, project_id: str, where: Mapping[str, Any], fields: Sequence[str], first: int | None = None, skip: int = 0
    ) -> Iterator[dict[str, Any]]:
        """Labels as the SDK gives them, with these fields, and jsonResponse, if it is one of them, decoded."""
        doing = "reading labels"
        if "jsonResponse" not in fields:
            yield from self.rows("labels", "LabelWhere", where, fragment(fields), doing, first, skip)
            return
        rebuilt = self.project(project_id).input_type in llm_labels.PROJECTS
        others = [field for field in fields if field not in ("jsonResponse", "jsonResponseUrl")]
        asked = f"{fragment(others)} {llm_labels.FIELDS if rebuilt else 'jsonResponse jsonResponseUrl'}"
        for row in self.rows("labels", "LabelWhere", where, asked, doing, first, skip, self._label_bytes):
            if rebuilt:
                row["jsonResponse"] = _rebuilt(row.pop("annotations", None), doing)
            else:
                row["jsonResponse"] = self.json_response(
                    row.get("jsonResponse"), row.pop("jsonResponseUrl", None), doing
                )
            yield row

    @property
    def _label_bytes(self) -> int:
        return 2 * self._settings.kili_max_label_bytes + _OVERHEAD_BYTES

    def _of_annotations(self, variables: dict[str, Any], doing: str) -> dict[str, Any]:
        asked = {name: variables[name] for name in ("where", "first", "skip")}
        rows = self._execute(documents.ANNOTATIONS, asked, doing, self._label_bytes)
        return _rebuilt(rows[0].get("annotations") if rows else None, doing)

    def json_response(self, text: Any, url: str | None, doing: str) -> Any:
        """A label's jsonResponse, decoded: from where Kili keeps it, if there is a URL, or from its text."""
        if url and url.lower().startswith(("https://", "http://")):
            content = self._stored(url, doing)
        elif url and not isinstance(text, str):
            raise Upstream(f"{PLATFORM} keeps the label at an address of an unknown kind.")
        elif isinstance(text, str):
            content = text.encode(errors="surrogatepass")
        else:
            return {} if text is None else text
        if len(content) > self._settings.kili_max_label_bytes:
            raise Upstream(f"{PLATFORM} sent more than {self._settings.kili_max_label_bytes} bytes while {doing}.")
        return _decoded(content, doing) if content else {}

    def _stored(self, url: str, doing: str) -> bytes:
        """What is at a signed URL, which is asked without the key and says itself who may read it."""
        parsed = split_url(url)
        own = self._endpoint.origin
        try:
            origin = own if parsed and parsed[0] == own._replace(explicit=False) else self._allowed(url)
        except Forbidden:
            logger.error("labels are kept where KILI_STORAGE_ORIGINS does not allow", extra={"origin": _origin(url)})
            raise Forbidden(f"{PLATFORM} keeps the label on a server that this deployment does not allow.") from None
        storage = self._storages.get(origin)
        if storage is None:
            timeout_s = self._settings.kili_read_timeout_s
            storage = Outbound(origin, self._deadline, platform=f"{PLATFORM}'s storage", read_timeout_s=timeout_s)
            self._storages[origin] = storage
        path = storage.locate(url)
        most = self._settings.kili_max_label_bytes
        content = storage.request("GET", path, doing=doing, max_bytes=most, attempts=_STORAGE_ATTEMPTS).body
        if not content:
            raise _NotStored(f"{PLATFORM}'s storage has nothing in the label yet.")
        return content

    def _allowed(self, url: str) -> Origin:
        return self._settings.kili_storage_origins.match(url)

    def project(self, project_id: str) -> Project:
        """The project with its interface, not older than some minutes. Raises NotFound."""
        kept = self._kept_project(project_id)
        if kept is not None:
            return kept
        doing = "reading the project"
        variables = {"where": {"id": project_id}, "first": 1, "skip": 0}
        return self._project(project_id, self._execute(documents.PROJECT, variables, doing), doing)

    def _kept_project(self, project_id: str) -> Project | None:
        return projects.get((self._endpoint, project_id))

    def _project(self, project_id: str, rows: Any, doing: str) -> Project:
        found = _converted(rows or [], list[_ProjectFields], doing)
        if not found:
            raise NotFound(f"{PLATFORM} has no such project, or the API key may not see it.")
        interface = found[0].json_interface
        if isinstance(interface, str):
            interface = _decoded(interface.encode(), doing)
        project = Project(
            id=project_id,
            input_type=found[0].input_type,
            interface=interface if isinstance(interface, dict) else {},
        )
        return projects.keep((self._endpoint, project_id), project)

    def size_px(self, project_id: str, asset_id: str) -> tuple[int, int] | None:
        """Width and height of an asset; None when Kili does not know them."""
        doing = "reading the asset's size"
        where = {"id": asset_id, "project": {"id": project_id}}
        rows = self._execute(documents.SIZE, {"where": where, "first": 1, "skip": 0}, doing)
        assets = _converted(rows or [], list[_AssetFields], doing)
        size = assets[0].resolution if assets else None
        return (size.width, size.height) if size and size.width and size.height else None

    def issues(self, project_id: str, asset_id: str) -> list[Issue]:
        """Every issue of an asset, whatever its status; not the questions. Raises Upstream if they are too many."""
        where = {"project": {"id": project_id}, "asset": {"id": asset_id}, "type": "ISSUE"}
        doing = "reading the asset's issues"
        rows = _converted(list(self._pages(documents.ISSUES, where, doing)), list[_IssueFields], doing)
        return [
            Issue(
                id=issue.id,
                status=issue.status,
                text=(issue.comments[0].text or "") if issue.comments else "",
                mid=issue.object_mid,
            )
            # One that is raised meanwhile moves the others, so that one may be on two pages.
            for issue in {issue.id: issue for issue in rows}.values()
        ]

    def events(self, project_id: str, subject: str, since: str) -> Iterator[dict[str, Any]]:
        """A project's events of one subject from a moment on (ISO 8601), oldest first. Raises Upstream if too many."""
        where = {"projectId": project_id, "event": subject, "createdAtGte": since}
        for skip in range(0, MOST_ROWS, PAGE):
            pagination = {"skip": skip, "first": PAGE}
            variables = {"where": where, "pagination": pagination, "order": "asc"}
            rows = _rows(self._execute(documents.EVENTS, variables, "reading the project's events"))
            yield from rows
            if len(rows) < PAGE:
                return
        raise Upstream(f"{PLATFORM} has more than {MOST_ROWS} events of this project since then.")

    def viewer_id(self) -> str:
        """Id of the user whose key it is."""
        kept = viewers.get(self._viewer)
        if kept is not None:
            return kept
        doing = "asking whose API key it is"
        return viewers.keep(self._viewer, _converted(self._execute(documents.VIEWER, {}, doing), _Id, doing).id)

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
        """What a filter finds, page by page: `first` of them, or all, after `skip`. Raises Upstream if too many."""
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
            rows = _rows(self._execute(document, variables, doing, max_bytes))
            yield from rows
            if len(rows) < size:
                return
        if first is None or first > MOST_ROWS:
            raise Upstream(f"{PLATFORM} has more than {MOST_ROWS} rows for this; stopped while {doing}.")

    # What is changed

    def create_issues(self, project_id: str, issues: Sequence[NewIssue]) -> list[str]:
        """Ids of the new issues, in the order given. A hundred at a time: if one call fails, those before are made."""
        doing = "raising issues"
        ids = []
        for start in range(0, len(issues), PAGE):
            data = [
                {"labelID": issue.label_id, "type": "ISSUE", "text": issue.text}
                | ({"objectMid": issue.mid} if issue.mid is not None else {})
                for issue in issues[start : start + PAGE]
            ]
            variables = {"issues": data, "where": {"project": {"id": project_id}}}
            ids += self._ids(documents.CREATE_ISSUES, variables, len(data), doing)
        return ids

    def set_issue_status(self, issue_id: str, status: Literal["OPEN", "SOLVED", "CANCELLED"]) -> None:
        """Opens, solves or cancels an issue."""
        variables = {"data": {"status": status}, "where": {"id": issue_id}}
        self._change(documents.UPDATE_ISSUE, variables, "changing an issue")

    def send_back(self, asset_id: str) -> bool:
        """Sends an asset back to the queue. False when Kili declines: it is there already, or was skipped."""
        doing = "sending the asset back"
        variables = {"where": {"idIn": [asset_id]}}
        if not without_new_send_back.get(self._endpoint):
            try:
                return self._carried_out(self._change(documents.SEND_BACK, variables, doing), doing)
            except Refused as error:
                if not error.unknown_field:
                    raise
            without_new_send_back.keep(self._endpoint, True)
        self._change(documents.SEND_BACK_BEFORE_26_2_1, variables, doing)
        return True

    def add_to_review(self, asset_id: str) -> bool:
        """Puts an asset into review. False when Kili declines: it has no label, or cannot move on."""
        doing = "adding the asset to review"
        return self._carried_out(self._change(documents.ADD_TO_REVIEW, {"where": {"idIn": [asset_id]}}, doing), doing)

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str) -> None:
        """Replaces an asset's metadata. A str is sent as it is, as the SDK does."""
        data = {"jsonMetadata": metadata if isinstance(metadata, str) else json.dumps(metadata)}
        self._change(
            documents.UPDATE_ASSETS, {"whereArray": [{"id": asset_id}], "dataArray": [data]}, "writing metadata"
        )

    def append_labels(
        self,
        labels: Sequence[NewLabel],
        label_type: str,
        *,
        project_id: str | None = None,
        overwrite: bool = False,
        step_id: str | None = None,
    ) -> list[str]:
        """Ids of labels added to assets, in the order given, a hundred at a time.

        A DEFAULT or REVIEW label makes Kili post the event of its submission. overwrite: predictions and inferences of
        the same model make way.
        """
        doing = "adding labels"
        ids = []
        for start in range(0, len(labels), PAGE):
            batch = labels[start : start + PAGE]
            data = {
                "labelType": label_type,
                "overwrite": overwrite,
                "labelsData": [_new_label(label) for label in batch],
                "stepId": step_id,
            }
            where = {"idIn": [label.asset_id for label in batch], "project": project_id and {"id": project_id}}
            ids += self._ids(
                documents.APPEND_LABELS, {"data": _present(data), "where": _present(where)}, len(batch), doing
            )
        return ids

    def create_webhook(self, variables: Mapping[str, Any]) -> bool:
        """Registers a webhook. False when there is one of this name already. variables: of documents.CREATE_WEBHOOK."""
        return self._is_new(
            documents.CREATE_WEBHOOK, variables, "an entity Plugin already exists", "registering the webhook"
        )

    def update_webhook(self, variables: Mapping[str, Any]) -> None:
        self._change(documents.UPDATE_WEBHOOK, variables, "changing the webhook")

    def activate(self, variables: Mapping[str, Any]) -> bool:
        """Activates a webhook on a project. False when it is active there already. variables: of documents.ACTIVATE."""
        return self._is_new(documents.ACTIVATE, variables, "an entity Project already exists", "activating the webhook")

    def _is_new(self, document: str, variables: Mapping[str, Any], already: str, doing: str) -> bool:
        try:
            self._change(document, variables, doing)
        except Refused as error:
            if already not in error.detail:
                raise
            return False
        return True

    def _carried_out(self, answer: Any, doing: str) -> bool:
        outcome = _converted(answer, _Outcome, doing)
        if outcome.failed or not (outcome.succeeded or outcome.declined):
            raise Upstream(f"{PLATFORM} did not succeed in {doing}.")
        return bool(outcome.succeeded)

    def _ids(self, document: str, variables: dict[str, Any], count: int, doing: str) -> list[str]:
        made = _converted(self._change(document, variables, doing), list[_Id], doing)
        if len(made) != count:
            raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.")
        return [each.id for each in made]

    def _execute(self, document: str, variables: dict[str, Any], doing: str, max_bytes: int = REPLY_BYTES) -> Any:
        return self._session.execute(document, variables, doing=doing, max_bytes=max_bytes)

    def _change(self, document: str, variables: Mapping[str, Any], doing: str) -> Any:
        return self._session.execute(document, dict(variables), doing=doing, mutation=True)


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _new_label(label: NewLabel) -> dict[str, Any]:
    return _present(
        {
            "assetID": label.asset_id,
            "authorID": label.author_id,
            "jsonResponse": json.dumps(label.json_response),
            "modelName": label.model_name,
            "referencedLabelId": label.referenced_label_id,
            "secondsToLabel": label.seconds_to_label,
        }
    )


def _rows(answer: Any) -> list[dict[str, Any]]:
    return _converted(answer or [], list[dict[str, Any]], "reading a page")


def _converted(answer: Any, kind: type[T], doing: str) -> T:
    """The answer as the fields that were asked for. Raises Upstream if it is something else."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.") from None


def _rebuilt(annotations: Any, doing: str) -> dict[str, Any]:
    try:
        return llm_labels.json_response(annotations)
    except (msgspec.ValidationError, RecursionError):
        raise Upstream(f"{PLATFORM} answered with annotations that cannot be read while {doing}.") from None


def _decoded(content: bytes, doing: str) -> Any:
    try:
        return any_json(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Upstream(f"{PLATFORM} sent something that is not JSON while {doing}.") from None


def _origin(url: str) -> str:
    parsed = split_url(url)
    return str(parsed[0]) if parsed else "not an origin"
