"""The schedule checks the labels whose event never arrived."""

from __future__ import annotations

import uuid

import pytest
from rule_sources import set_issue_status

from annohooks.core.errors import Unavailable
from local.lambdas import Context
from local.simulators.kili import samples

MUTATIONS = {"createIssues", "updatePropertiesInIssue", "sendAssetsBackToQueue", "addAssetsToReview"}


@pytest.fixture
def project(kili):
    """A project without labels: the audit log of the sample project has those of all tests."""
    return kili.add_project(f"project-{uuid.uuid4().hex}", json_interface=samples.INTERFACE)


@pytest.fixture
def reconcile(webhook, project):
    """reconcile(KILI_...=..., seconds=600): runs the schedule once, and returns its counts."""

    def run(seconds=600, **environment):
        function = webhook(**({"KILI_PROJECTS": project} | environment))
        return function.handler("KiliReconcileFunction")({}, Context("reconcile", seconds))

    return run


def tally(caplog):
    (line,) = [vars(record) for record in caplog.records if record.message == "reconciled"]
    return tuple(line[name] for name in ("found", "missed", "failed", "left"))


def test_a_label_whose_event_never_arrived_is_checked(reconcile, project, kili, submitted, raised):
    asset_id, _ = submitted(project=project)
    assert reconcile() == {"found": 1, "missed": 1, "failed": 0, "left": 0}
    assert len(raised(asset_id, "OPEN")) == 2
    assert kili.sent_back.count(asset_id) == 1


def test_a_label_that_was_checked_stays_as_people_have_it_now(reconcile, project, function, kili, submitted, raised):
    asset_id, label_id = submitted(project=project)
    reconcile()
    for issue in raised(asset_id):
        set_issue_status(kili, issue["id"], "SOLVED")
    kili.calls.clear()
    assert reconcile()["missed"] == 0
    assert not MUTATIONS & set(kili.operations())
    assert raised(asset_id, "OPEN") == []
    function.check(label_id)  # an event is checked all the same
    assert len(raised(asset_id, "OPEN")) == 2


def test_a_label_that_was_edited_since_is_checked_again(reconcile, project, function, kili, submitted, raised):
    asset_id, label_id = submitted(project=project)
    function.check(label_id)
    kili.edit(label_id, samples.CORRECTED)
    reconcile()
    assert raised(asset_id, "OPEN") == []


def test_a_label_that_fails_does_not_stop_the_others_and_is_counted(
    reconcile, project, kili, submitted, raised, caplog
):
    assets = [submitted(project=project)[0] for _ in range(2)]
    kili.faults.plan("refuses", on="createIssues")
    with pytest.raises(Unavailable):
        reconcile()
    assert tally(caplog) == (2, 1, 1, 0)
    assert sorted(len(raised(asset_id)) for asset_id in assets) == [0, 2]
    reconcile()
    assert [len(raised(asset_id)) for asset_id in assets] == [2, 2]


def test_a_project_that_cannot_be_read_does_not_stop_the_others(reconcile, project, kili, submitted, raised):
    asset_id, _ = submitted(project=project)
    kili.faults.plan("refuses", on="events")
    with pytest.raises(Unavailable):
        reconcile(KILI_PROJECTS=f"another {project}")
    assert len(raised(asset_id, "OPEN")) == 2


def test_without_time_it_fails_and_counts_the_labels_that_are_left(reconcile, project, submitted, caplog):
    submitted(project=project)
    with pytest.raises(Unavailable):
        reconcile(seconds=20)
    assert tally(caplog) == (1, 0, 0, 1)


def test_without_projects_it_fails_and_asks_kili_nothing(reconcile, kili):
    with pytest.raises(RuntimeError, match="SettingsError"):
        reconcile(KILI_PROJECTS="")
    assert kili.calls == []
