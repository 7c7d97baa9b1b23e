"""Everything this webhook changes in Kili, each thing once.

What is written is the difference between what should be and what Kili says there is. So a delivery that comes again
writes nothing, and one that comes after another broke off writes the rest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.observability import logger
from annohooks.kili import issues
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import OutcomeUnknown
from annohooks.kili.api.records import Label, NewIssue
from annohooks.kili.issues import Plan, Planner
from annohooks.kili.once import Once

_ROUNDS = 4
_PAUSE_S = 1.0
"""After an answer that never came: Kili may still be at work, and what it makes is only then to be seen."""

T = TypeVar("T")


class Account(msgspec.Struct):
    """What was done, or in a dry run would have been."""

    created: int = 0
    kept: int = 0
    resolved: int = 0
    dismissed: int = 0
    sent_back: bool = False
    added_to_review: bool = False


class Writes:
    """Changes on account of one label, or of an event without one. Make them while the asset is held (see `once`).

    label: as it is in Kili now. dry_run: everything is read and nothing written; `account` has what would be.
    Every method raises Upstream, or DeadlineExceeded; the next delivery then does what is left.
    """

    def __init__(
        self,
        client: Client,
        once: Once,
        deadline: Deadline,
        project_id: str,
        label: Label | None,
        *,
        dry_run: bool,
    ) -> None:
        self._client = client
        self._once = once
        self._deadline = deadline
        self._project_id = project_id
        self._label = label
        self._dry_run = dry_run
        self._sent_back = {label.asset_id} if label and label.sent_back else set()
        self._raised: list[str] = []
        self._appended = 0
        self.account = Account()

    def settle(self, asset_id: str, planner: Planner) -> Plan:
        """Creates the issues that are missing on an asset, and returns the plan; what is obsolete is left to `resolve`.

        After a request whose outcome is unknown the issues are read again, and the plan made anew.
        """

        def change(first: bool) -> Plan:
            plan = planner(self._client.issues(self._project_id, asset_id))
            if first:
                self._note(plan)
            raised = plan.kept
            if self._dry_run:
                raised = raised + [self._would_raise(new) for new in plan.missing]
            elif plan.missing:
                raised = raised + self._client.create_issues(self._project_id, plan.missing)
            self._raised += raised
            return plan

        return self._until_known(change)

    def _would_raise(self, new: NewIssue) -> str:
        """What stands for the id of an issue that a dry run does not raise."""
        logger.info("an issue would be raised", extra=msgspec.structs.asdict(new))
        return "dry-run"

    def _note(self, plan: Plan) -> None:
        self.account.created += len(plan.missing)
        self.account.kept += len(plan.kept)
        self.account.dismissed += len(plan.dismissed)

    def raise_issues(self, wanted: Sequence[NewIssue]) -> list[str]:
        """Ids of open issues with these texts on these objects; those that are not there yet are created."""
        before = len(self._raised)
        assets: dict[str, list[NewIssue]] = {}
        for new in wanted:
            assets.setdefault(self._asset_of(new.label_id), []).append(new)
        for asset_id, of_asset in assets.items():
            self.settle(asset_id, issues.of_texts(of_asset))
        return self._raised[before:]

    def _asset_of(self, label_id: str) -> str:
        if self._label and label_id == self._label.id:
            return self._label.asset_id
        return self._client.label(self._project_id, label_id).asset_id

    def resolve(self, issue_id: str) -> None:
        """Sets an issue to solved."""
        self.account.resolved += 1
        if not self._dry_run:
            self._until_known(lambda first: self._client.set_issue_status(issue_id, "SOLVED"))

    def send_back(self, asset_id: str) -> bool:
        """Back to the queue, once for a label with its issues. False when Kili declined, or it is not due any more.

        The label is looked at again first: it may have been replaced while it was checked, or, after a request whose
        outcome is unknown, have been sent back.
        """
        if asset_id in self._sent_back:
            return True
        self._sent_back.add(asset_id)

        def send(first: bool) -> bool:
            label = self._label
            if label and asset_id == label.asset_id and not self._client.is_due_back(self._project_id, label.id):
                self.account.sent_back = not first
                return not first
            self.account.sent_back = self._dry_run or self._client.send_back(asset_id)
            return self.account.sent_back

        return self._once_for_label("send_back", asset_id, lambda: self._until_known(send))

    def add_to_review(self, asset_id: str) -> bool:
        """Into review, once for a label. False when Kili declined."""

        def add(first: bool) -> bool:
            self.account.added_to_review = self._dry_run or self._client.add_to_review(asset_id)
            return self.account.added_to_review

        return self._once_for_label("add_to_review", asset_id, lambda: self._until_known(add))

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str) -> None:
        """Replaces the asset's metadata."""
        if not self._dry_run:
            self._until_known(lambda first: self._client.set_metadata(asset_id, metadata))

    def append_labels(self, append: Callable[[], list[str]]) -> list[str]:
        """Ids of the labels that a plugin adds by `append`, added once; the webhook does not act on their own events.

        When it is not known whether they were added, they are taken as such and have no ids.
        """
        if self._dry_run:
            return []

        def added() -> list[str]:
            try:
                return append()
            except OutcomeUnknown as error:
                logger.error("labels may have been added, and are not sent again", extra={"reason": error.message})
                return []

        self._appended += 1
        ids = self._once_for_label("append_labels", str(self._appended), added)
        for label_id in ids:
            self._once.note({"own_label": label_id}, True)
        return ids

    def _once_for_label(self, action: str, what: str, act: Callable[[], T]) -> T:
        """What `act` returns. It is remembered by the label as it is, and by the issues that are the reason."""
        if self._dry_run or self._label is None:
            return act()
        label = {"label": self._label.id, "content": self._label.content}
        return self._once.do({action: what, "issues": sorted(self._raised), **label}, act)

    def _until_known(self, change: Callable[[bool], T]) -> T:
        """What `change(first)` returns, called again after a pause while the outcome of its request is unknown."""
        for left in reversed(range(_ROUNDS)):
            try:
                return change(left == _ROUNDS - 1)
            except OutcomeUnknown:
                pause_s = _PAUSE_S * random.uniform(0.8, 1.2)
                if not left or self._deadline.remaining_s() < 2 * pause_s:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last round returns or raises")
