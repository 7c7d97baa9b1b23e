"""The GraphQL API of the simulated Kili: graphql-core executes schema.graphql on the organization's records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import graphql
from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode, OperationType

from local.simulators.kili import events, filters
from local.simulators.kili.filters import KiliError
from local.simulators.kili.organization import Organization, Outcome, new_id
from local.simulators.kili.records import Asset, Issue, Label, Project, User

PAGE = 100
BATCH = 100  # items of one mutation
MAX_TOKENS = 5000
MAX_QUERY = 100_000  # characters
MAX_DEPTH = 20  # the SDK's introspection needs 13
NEW_MUTATION = "sendAssetsBackToQueue"
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*')
MODEL_TYPES = ("PREDICTION", "INFERENCE")
LLM = ("LLM_INSTR_FOLLOWING", "LLM_STATIC")


@dataclass(frozen=True)
class Operation:
    """A parsed operation. name: its root fields, joined by +. mutation: whether it changes something."""

    document: DocumentNode
    name: str
    mutation: bool


class Unreadable(Exception):
    """A document that is not GraphQL, or too large. The text is the reason."""


@lru_cache(64)
def read(query: str) -> Operation:
    """Parses a document of one operation. Raises Unreadable."""
    if len(query) > MAX_QUERY:
        raise Unreadable(f"a document of {len(query)} characters, {MAX_QUERY} are allowed")
    if (depth := _depth(query)) > MAX_DEPTH:
        raise Unreadable(f"a document {depth} levels deep, {MAX_DEPTH} are allowed")
    try:
        document = graphql.parse(query, max_tokens=MAX_TOKENS)
    except GraphQLError as error:
        raise Unreadable(error.message) from None
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    if len(operations) != 1:
        raise Unreadable(f"a document of {len(operations)} operations, not of one")
    fields = [part.name.value for part in operations[0].selection_set.selections if isinstance(part, FieldNode)]
    return Operation(document, "+".join(fields), operations[0].operation is OperationType.MUTATION)


def _depth(query: str) -> int:
    depth = deepest = 0
    for character in STRING.sub("", query):
        if character in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "})]":
            depth -= 1
    return deepest


@cache
def schema(new_mutation: bool) -> graphql.GraphQLSchema:
    """new_mutation: whether sendAssetsBackToQueue exists."""
    text = Path(__file__).with_name("schema.graphql").read_text()
    if not new_mutation:
        text = "\n".join(line for line in text.splitlines() if NEW_MUTATION not in line)
    built = graphql.build_schema(text)
    page_size = built.type_map["PageSize"]
    assert isinstance(page_size, graphql.GraphQLScalarType)
    page_size.parse_value = _page_size  # type: ignore[method-assign]
    label = built.type_map["Label"]
    assert isinstance(label, graphql.GraphQLObjectType)
    label.fields["jsonResponse"].resolve = lambda label, info: info.context.json_response(label)
    label.fields["jsonResponseUrl"].resolve = lambda label, info: info.context.json_response_url(label)
    return built


def _page_size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= PAGE:
        raise GraphQLError(f"PageSize is a number up to {PAGE}, not {value!r}")
    return value


class Api:
    """The caller holds the lock of the organization.

    url_of: the signed URL of a label's jsonResponse. complain: notes a violation of the protocol.
    """

    def __init__(
        self,
        organization: Organization,
        url_of: Callable[[Label], str],
        complain: Callable[[str], None],
    ) -> None:
        self.organization = organization
        self.url_of = url_of
        self.complain = complain
        self.late_labels: set[str] = set()  # labels that the fault label_lags has hidden once

    def execute(
        self, operation: Operation, variables: Mapping[str, Any] | None, user: User, faults: Collection[str]
    ) -> tuple[int, dict[str, Any]]:
        """The status and the answer."""
        graphql_schema = schema("no_new_mutation" not in faults)
        if invalid := graphql.validate(graphql_schema, operation.document):
            if "no_new_mutation" not in faults or operation.name != NEW_MUTATION:
                self.complain(f"{operation.name}: {_message(invalid[0])}")
            return 400, _errors(invalid, "GRAPHQL_VALIDATION_FAILED")
        if "refuses" in faults:
            error = GraphQLError("", original_error=KiliError("serviceUnavailable", "Try again later."))
            return 200, {**_errors([error]), "data": None}
        result = graphql.execute_sync(
            graphql_schema,
            operation.document,
            root_value=Root(self, user, faults),
            context_value=LabelContent(self, faults),
            variable_values=dict(variables) if variables else None,
            field_resolver=_resolve,
        )
        if not result.errors:
            return 200, {"data": result.data}
        for error in result.errors:
            if error.original_error is None or isinstance(error.original_error, GraphQLError):  # wrong variables
                self.complain(f"{operation.name}: {_message(error)}")
                return 400, _errors(result.errors, "BAD_USER_INPUT")
            if not isinstance(error.original_error, KiliError):
                raise error.original_error
        return 200, {**_errors(result.errors), "data": None}


def _errors(errors: Iterable[GraphQLError], code: str = "OPERATION_RESOLUTION_FAILURE") -> dict[str, Any]:
    """The errors in Kili's shape."""
    extensions = {"code": code, "context": {}}
    return {"errors": [{**error.formatted, "message": _message(error), "extensions": extensions} for error in errors]}


def _message(error: GraphQLError) -> str:
    """The text of an error. Kili's server quotes names with double quotes; graphql-core uses single ones."""
    if isinstance(error.original_error, KiliError):
        return str(error.original_error)
    return re.sub(r"'([^']*)'", r'"\1"', error.message)


def _resolve(source: Any, info: graphql.GraphQLResolveInfo, **arguments: Any) -> Any:
    if isinstance(source, Mapping):
        return source.get(info.field_name)
    value = getattr(source, re.sub(r"(?<!^)(?=[A-Z])", "_", info.field_name).lower())
    return value(**arguments) if callable(value) else value


@dataclass(frozen=True)
class LabelContent:
    """How a request reads a jsonResponse: as text, by a URL, or not at all for a label of an LLM project."""

    api: Api
    faults: Collection[str]

    def json_response(self, label: Label) -> str | None:
        if label.asset.project.input_type in LLM:
            return "{}"
        return label.json_response if "json_inline" in self.faults else None

    def json_response_url(self, label: Label) -> str | None:
        if label.asset.project.input_type in LLM or "json_inline" in self.faults:
            return None
        return self.api.url_of(label)


class Root:
    """The root fields of schema.graphql. user: the owner of the API key."""

    def __init__(self, api: Api, user: User, faults: Collection[str]) -> None:
        self._api = api
        self._organization = api.organization
        self._user = user
        self._faults = faults

    # ---- queries

    def viewer(self) -> User:
        return self._user

    def api_keys(self, where: Mapping[str, Any], first: int = PAGE, skip: int = 0) -> list[dict[str, str]]:
        if where.get("key") != self._user.api_key:
            return []
        return [{"expiryDate": (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%S.000Z")}]

    def projects(self, where: Mapping[str, Any], first: int, skip: int) -> list[Project]:
        return self._projects(where)[skip : skip + first]

    def count_projects(self, where: Mapping[str, Any]) -> int:
        return len(self._projects(where))

    def assets(self, where: Mapping[str, Any], first: int, skip: int) -> list[Asset]:
        return self._assets(where)[skip : skip + first]

    def count_assets(self, where: Mapping[str, Any]) -> int:
        return len(self._assets(where))

    def labels(self, where: Mapping[str, Any], first: int, skip: int) -> list[Label]:
        return self._labels(where)[skip : skip + first]

    def count_labels(self, where: Mapping[str, Any]) -> int:
        return len(self._labels(where))

    def issues(self, where: Mapping[str, Any], first: int, skip: int) -> list[Issue]:
        return self._issues(where)[skip : skip + first]

    def count_issues(self, where: Mapping[str, Any]) -> int:
        return len(self._issues(where))

    def events(
        self, where: Mapping[str, Any], pagination: Mapping[str, Any], order: str = "desc"
    ) -> list[dict[str, Any]]:
        rows = [events.audit_row(event) for event in self._organization.events]
        rows = _between(rows, pagination.get("fromEventId"), pagination.get("untilEventId"))
        rows = [row for row in rows if filters.event(row, where)]
        if order == "desc":
            rows.reverse()
        skip, first = pagination.get("skip") or 0, pagination.get("first") or PAGE
        if first > PAGE:
            self._api.complain(f"a page of {first} events, {PAGE} are allowed")
        return rows[skip : skip + min(first, PAGE)]

    def list_plugins(self) -> list[Any]:
        return list(self._organization.plugins.values())

    def _projects(self, where: Mapping[str, Any]) -> list[Project]:
        return [project for project in self._organization.projects.values() if filters.project(project, where)]

    def _assets(self, where: Mapping[str, Any]) -> list[Asset]:
        return [asset for asset in self._organization.assets.values() if filters.asset(asset, where)]

    def _labels(self, where: Mapping[str, Any]) -> list[Label]:
        if "label_lags" in self._faults and where.get("id") and where["id"] not in self._api.late_labels:
            self._api.late_labels.add(where["id"])
            return []
        return [label for label in self._organization.labels.values() if filters.label(label, where)]

    def _issues(self, where: Mapping[str, Any]) -> list[Issue]:
        return [issue for issue in self._organization.issues.values() if filters.issue(issue, where)]

    # ---- mutations

    def create_project(self, data: Mapping[str, Any]) -> Project:
        try:
            interface = json.loads(data["jsonInterface"])
        except (ValueError, RecursionError):
            raise KiliError("invalidJsonInterface", "jsonInterface is not JSON") from None
        project = Project(
            new_id(), data["title"], data["inputType"], json.dumps(interface), data.get("description") or ""
        )
        return self._organization.add_project(project, self._user)

    def create_issues(self, issues: list[Mapping[str, Any]], where: Mapping[str, Any]) -> list[Issue]:
        self._at_most_a_batch("issues", len(issues))
        project = self._organization.project((where.get("project") or {}).get("id") or "")
        return self._organization.raise_issues(issues, project.id, self._user)

    def update_properties_in_issue(self, data: Mapping[str, Any], where: Mapping[str, Any]) -> Issue:
        if not data.get("status"):
            raise KiliError("missingArgument", "a status is needed")
        return self._organization.set_issue_status(where.get("id") or "", data["status"], self._user)

    def send_assets_back_to_queue(self, where: Mapping[str, Any]) -> Outcome:
        fails = "send_back_fails" in self._faults
        return self._organization.send_back(self._chosen_assets(where), self._user, fails=fails)

    def send_back_assets_to_queue(self, where: Mapping[str, Any]) -> Project | None:
        """The older mutation, which does not report what became of each asset."""
        assets = self._chosen_assets(where)
        self._organization.send_back(assets, self._user, fails="send_back_fails" in self._faults)
        return assets[0].project if assets else None

    def add_assets_to_review(self, where: Mapping[str, Any]) -> Outcome:
        return self._organization.add_to_review(self._chosen_assets(where), self._user)

    def update_properties_in_assets(self, where: list[Mapping[str, Any]], data: list[Mapping[str, Any]]) -> list[Asset]:
        if len(where) != len(data):
            raise KiliError("invalidArguments", f"{len(where)} assets and {len(data)} properties")
        self._at_most_a_batch("assets", len(where))
        chosen = [
            (asset, properties)
            for asset_where, properties in zip(where, data, strict=True)
            for asset in self._chosen_assets(asset_where)
        ]
        for asset, properties in chosen:
            self._organization.set_metadata(asset, properties, self._user)
        return [asset for asset, _ in chosen]

    def append_many_labels(self, data: Mapping[str, Any], where: Mapping[str, Any]) -> list[Label]:
        labels_data = data["labelsData"]
        self._at_most_a_batch("labels", len(labels_data))
        assets = {asset.id: asset for asset in self._chosen_assets(where)}
        kind = data.get("labelType") or "DEFAULT"
        labels = [self._label(label_data, kind, assets) for label_data in labels_data]
        for label in labels:
            if data.get("overwrite") and kind in MODEL_TYPES:
                self._organization.remove_predictions_like(label)
            self._organization.add_label(label)
        return labels

    def create_webhook(self, data: Mapping[str, Any]) -> str:
        return self._organization.create_webhook(data)

    def update_webhook(self, data: Mapping[str, Any]) -> str:
        return self._organization.update_webhook(data)

    def activate_plugin_on_project(self, where: Mapping[str, Any]) -> str:
        return self._organization.activate(where["pluginName"], where["projectId"])

    def deactivate_plugin_on_project(self, where: Mapping[str, Any]) -> str:
        return self._organization.deactivate(where["pluginName"], where["projectId"])

    def delete_plugin(self, where: Mapping[str, Any]) -> str:
        return self._organization.delete_plugin(where["pluginName"])

    def _label(self, data: Mapping[str, Any], kind: str, assets: Mapping[str, Asset]) -> Label:
        asset = assets.get(data.get("assetID") or "")
        if asset is None:
            raise KiliError("assetNotFound", "a label on an asset that `where` does not name")
        text = data.get("jsonResponse") or ""
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            self._api.complain("appendManyLabels: a jsonResponse that is not JSON")
            raise KiliError("invalidJsonResponse", "jsonResponse is not JSON") from None
        author = self._organization.user(data["authorID"]) if data.get("authorID") else self._user
        return Label(
            new_id(),
            asset,
            kind,
            author,
            text,
            self._organization.now(),
            seconds_to_label=data.get("secondsToLabel"),
            model_name=data.get("modelName"),
            signature=new_id(),
        )

    def _chosen_assets(self, where: Mapping[str, Any]) -> list[Asset]:
        self._at_most_a_batch("assets", len(where.get("idIn") or []))
        return self._organization.chosen_assets(where)

    def _at_most_a_batch(self, what: str, count: int) -> None:
        if count > BATCH:
            self._api.complain(f"{count} {what} in one call, {BATCH} are allowed")
            raise KiliError("tooMany", f"at most {BATCH} {what} in one call")


def _between(rows: list[dict[str, Any]], first: str | None, last: str | None) -> list[dict[str, Any]]:
    """The rows from the event of one id to that of another, both included."""
    ids = [row["id"] for row in rows]
    if unknown := {first, last} - {None, *ids}:
        raise KiliError("eventNotFound", f"there is no event {', '.join(map(str, unknown))}")
    return rows[ids.index(first) if first else 0 : ids.index(last) + 1 if last else len(rows)]
