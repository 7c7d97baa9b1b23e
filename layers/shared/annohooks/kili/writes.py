"""Everything this webhook changes in Kili, each change once.

What is written is the difference between the state that the rules ask for and Kili's present state. So a repeated
delivery writes nothing, and a delivery that follows an interrupted one writes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

import msgspec

from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.observability import logger
from annohooks.kili import issues
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import OutcomeUnknown
from annohooks.kili.api.records import Label, NewIssue
from annohooks.kili.issues import Plan, Planner
from annohooks.kili.memory import Memory

# The pause comes after an answer that was lost. Kili may still be at work, and shows the change only then.
_LOST_ANSWER = retry.Backoff(first_s=1.2, factor=1, jitter=1 / 3, attempts=4)
_READ_AGAIN_S = 1.0

T = TypeVar("T")


class Account(msgspec.Struct):
    """What was changed, or in a dry run would have been."""

    created: int = 0
    kept: int = 0
    resolved: int = 0
    dismissed: int = 0
    sent_back: bool = False
    added_to_review: bool = False


class Writes:
    """Changes because of one label, or of an event without one. Make them while the asset is held (see `memory`).

    label: as it is in Kili now. dry_run: reads everything and writes nothing; `account` says what would be changed.
    Every method raises Upstream, or DeadlineExceeded. The next delivery then does the rest.
    """

    def __init__(
        self,
        client: Client,
        memory: Memory,
        deadline: Deadline,
        project_id: str,
        label: Label | None,
        *,
        dry_run: bool,
    ) -> None:
        self._client = client
        self._memory = memory
        self._deadline = deadline
        self._project_id = project_id
        self._label = label
        self._dry_run = dry_run
        self._sent_back = {label.asset_id} if label and label.sent_back else set()
        self._issue_ids: list[str] = []
        self._appended = 0
        self.account = Account()

    def settle(self, asset_id: str, planner: Planner) -> Plan:
        """Creates the missing issues of an asset, and returns the plan. The caller resolves the obsolete issues.

        Reads the issues and plans again after a request whose outcome is unknown.
        """

        def change(is_first: bool) -> Plan:
            plan = planner(self._client.issues(self._project_id, asset_id))
            if is_first:
                self._count(plan)
            if self._dry_run:
                created = [self._dry_issue(issue) for issue in plan.missing]
            else:
                created = self._client.create_issues(self._project_id, plan.missing) if plan.missing else []
            self._issue_ids += plan.unchanged + created
            return plan

        return self._until_known(change)

    def _dry_issue(self, issue: NewIssue) -> str:
        """Logs an issue that a dry run does not create. Returns a text in place of its id."""
        logger.info("an issue would be raised", extra=msgspec.structs.asdict(issue))
        return "dry-run"

    def _count(self, plan: Plan) -> None:
        self.account.created += len(plan.missing)
        self.account.kept += len(plan.unchanged)
        self.account.dismissed += len(plan.dismissed)

    def raise_issues(self, wanted: Sequence[NewIssue]) -> list[str]:
        """Ids of open issues with these texts on these objects. Creates those that do not exist yet."""
        before = len(self._issue_ids)
        by_asset: dict[str, list[NewIssue]] = {}
        for issue in wanted:
            by_asset.setdefault(self._asset_of(issue.label_id), []).append(issue)
        for asset_id, issues_of_asset in by_asset.items():
            self.settle(asset_id, issues.of_texts(issues_of_asset))
        return self._issue_ids[before:]

    def _asset_of(self, label_id: str) -> str:
        if self._label and label_id == self._label.id:
            return self._label.asset_id
        return self._client.label(self._project_id, label_id).asset_id

    def resolve(self, issue_id: str) -> None:
        """Sets an issue to solved."""
        self.account.resolved += 1
        if not self._dry_run:
            self._until_known(lambda _: self._client.set_issue_status(issue_id, "SOLVED"))

    def send_back(self, asset_id: str) -> bool:
        """Sends an asset back to the queue, once for a label and its issues.

        Returns False when Kili declines, or when the label is not due back any more. It reads the label again first:
        somebody may have replaced it while it was checked, or a request whose answer was lost may have sent it back.
        """
        if asset_id in self._sent_back:
            return True
        self._sent_back.add(asset_id)

        def send(is_first: bool) -> bool:
            label = self._label
            if label and asset_id == label.asset_id and not self._client.is_due_back(self._project_id, label.id):
                self.account.sent_back = not is_first
                return not is_first
            self.account.sent_back = self._dry_run or self._client.send_back(asset_id)
            return self.account.sent_back

        return self._once_for_label("send_back", asset_id, lambda: self._until_known(send))

    def add_to_review(self, asset_id: str) -> bool:
        """Puts an asset into review, once for a label. Returns False when Kili declines."""

        def add(_: bool) -> bool:
            self.account.added_to_review = self._dry_run or self._client.add_to_review(asset_id)
            return self.account.added_to_review

        return self._once_for_label("add_to_review", asset_id, lambda: self._until_known(add))

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str) -> None:
        """Replaces the asset's metadata."""
        if not self._dry_run:
            self._until_known(lambda _: self._client.set_metadata(asset_id, metadata))

    def append_labels(self, append: Callable[[], list[str]]) -> list[str]:
        """Ids of the labels that a plugin adds by `append`, once for a label. Notes them, so that they are not checked.

        Returns no ids when it is unknown whether Kili added the labels. They are not sent again then.
        """
        if self._dry_run:
            return []

        def add() -> list[str]:
            try:
                return append()
            except OutcomeUnknown as error:
                logger.error("labels may have been added, and are not sent again", extra={"reason": error.message})
                return []

        self._appended += 1
        ids = self._once_for_label("append_labels", str(self._appended), add)
        for label_id in ids:
            self._memory.note({"own_label": label_id}, True)
        return ids

    def _once_for_label(self, action: str, target: str, act: Callable[[], T]) -> T:
        """What `act` returns. It runs once for the label's present content and the issues that are the reason.

        The asset of a label is held, as `Memory.once` needs. Without a label there is nothing to remember it by.
        """
        if self._dry_run or self._label is None:
            return act()
        label = {"label": self._label.id, "content": self._label.content}
        return self._memory.once({action: target, "issues": sorted(self._issue_ids), **label}, act)

    def _until_known(self, change: Callable[[bool], T]) -> T:
        """What `change(is_first)` returns. Calls it again after a pause while its outcome is unknown."""
        attempts = count()
        return retry.call(
            lambda: change(next(attempts) == 0),
            _LOST_ANSWER,
            lambda error: isinstance(error, OutcomeUnknown),
            self._deadline,
            _READ_AGAIN_S,
        )
