"""Changes because of a plugin, on assets and labels other than the event's own."""

from __future__ import annotations

import pytest

from annohooks.core.deadline import Deadline
from annohooks.kili.api.records import NewIssue
from annohooks.kili.writes import Writes
from local.simulators.kili import samples


@pytest.fixture
def writes(connect):
    """writes(dry_run=False): for an event without a label, which needs no memory."""

    def start(dry_run=False):
        return Writes(connect(), None, Deadline.after(20), "project", None, dry_run=dry_run)

    return start


def test_issues_on_labels_of_several_assets_are_created_once(writes, server):
    server.add_asset("project", "other")
    labels = [server.submit(asset_id, samples.CORRECTED) for asset_id in ("asset", "other")]
    wanted = [NewIssue(label_id=label_id, text="Look again") for label_id in labels]
    ids = writes().raise_issues(wanted)
    assert writes().raise_issues(wanted) == ids
    assert [(issue["asset"], issue["label"]) for issue in server.issues] == [
        ("asset", labels[0]),
        ("other", labels[1]),
    ]


def test_a_dry_run_counts_every_change_and_makes_none(writes, server):
    server.submit("asset", samples.CORRECTED)
    dry = writes(dry_run=True)
    dry.resolve("issue")
    dry.set_metadata("asset", {"x": 1})
    assert dry.append_labels(lambda: pytest.fail("sent")) == []
    assert (dry.send_back("asset"), dry.add_to_review("asset")) == (True, True)
    assert (dry.account.resolved, dry.account.sent_back, dry.account.added_to_review) == (1, True, True)
    assert server.calls == []


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(writes, server):
    label_id = server.submit("asset", samples.CORRECTED)
    server.faults.plan("drops", on="createIssues")
    changes = writes()
    (issue_id,) = changes.raise_issues([NewIssue(label_id=label_id, text="Look again")])
    assert [issue["id"] for issue in server.issues] == [issue_id]
    assert changes.account.created == 1
    changes.resolve(issue_id)
    changes.set_metadata("asset", {"x": 1})
    assert server.issues[0]["status"] == "SOLVED"
    assert server.assets["asset"]["metadata"] == {"x": 1}
