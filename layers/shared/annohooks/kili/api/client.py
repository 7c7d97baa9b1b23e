"""What the webhook, a team's plugin and `make register-kili` change in Kili."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from annohooks.core.errors import Upstream
from annohooks.kili.api import cache, documents
from annohooks.kili.api.answers import Id, Outcome, converted
from annohooks.kili.api.graphql import PLATFORM, Refused
from annohooks.kili.api.reader import PAGE, Reader
from annohooks.kili.api.records import NewIssue, NewLabel


class Client(Reader):
    """Queries and mutations with one API key, all before one deadline; use it in a `with` statement.

    A mutation also raises OutcomeUnknown: Kili may have carried it out.
    """

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_issues(self, project_id: str, issues: Sequence[NewIssue]) -> list[str]:
        """Creates issues, a hundred at a time, and returns their ids in the same order.

        When one request fails, the issues of the requests before it exist.
        """
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
        """Sends an asset back to the queue. Returns False when Kili declines: it is there already, or was skipped."""
        doing = "sending the asset back"
        variables = {"where": {"idIn": [asset_id]}}
        if not cache.without_new_send_back.get(self._endpoint):
            try:
                return self._carried_out(self._change(documents.SEND_BACK, variables, doing), doing)
            except Refused as error:
                if not error.unknown_field:
                    raise
            cache.without_new_send_back.put(self._endpoint, True)
        self._change(documents.SEND_BACK_BEFORE_26_2_1, variables, doing)
        return True

    def add_to_review(self, asset_id: str) -> bool:
        """Puts an asset into review. Returns False when Kili declines: it has no label, or cannot move on."""
        doing = "adding the asset to review"
        return self._carried_out(self._change(documents.ADD_TO_REVIEW, {"where": {"idIn": [asset_id]}}, doing), doing)

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str) -> None:
        """Replaces an asset's metadata. Sends a str unchanged, as Kili's SDK does."""
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
        """Adds labels to assets, a hundred at a time, and returns their ids in the same order.

        Kili posts an event for a DEFAULT or REVIEW label, as when a person submits it. overwrite: replaces predictions
        and inferences of the same model.
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
        """Registers a webhook. Returns False when this name is taken. variables: of documents.CREATE_WEBHOOK."""
        return self._is_new(
            documents.CREATE_WEBHOOK, variables, "an entity Plugin already exists", "registering the webhook"
        )

    def update_webhook(self, variables: Mapping[str, Any]) -> None:
        """Changes a registered webhook. variables: of documents.UPDATE_WEBHOOK."""
        self._change(documents.UPDATE_WEBHOOK, variables, "changing the webhook")

    def activate(self, variables: Mapping[str, Any]) -> bool:
        """Activates a webhook on a project. Returns False when it is active there. variables: of documents.ACTIVATE."""
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
        outcome = converted(answer, Outcome, doing)
        if outcome.failed or not (outcome.succeeded or outcome.declined):
            raise Upstream(f"{PLATFORM} did not succeed in {doing}.")
        return bool(outcome.succeeded)

    def _ids(self, document: str, variables: dict[str, Any], count: int, doing: str) -> list[str]:
        rows = converted(self._change(document, variables, doing), list[Id], doing)
        if len(rows) != count:
            raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.")
        return [row.id for row in rows]

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
