"""What becomes of an asset's issues when it is labelled or reviewed again."""

from __future__ import annotations

import pytest

from local.simulators.kili import samples


def test_a_corrected_label_resolves_the_issues_and_is_not_sent_back(function, kili, submitted, raised):
    asset_id, label_id = submitted()
    function.check(label_id)
    corrected = kili.submit(asset_id, samples.CORRECTED)
    assert function.check(corrected)["done"]["resolved"] == 2
    assert [issue["status"] for issue in raised(asset_id)] == ["SOLVED", "SOLVED"]
    assert kili.assets[asset_id]["status"] == "LABELED"
    assert "newer label" in function.check(label_id)["ignored"]  # an event that arrives late
    assert raised(asset_id, "OPEN") == []
    assert kili.sent_back.count(asset_id) == 1


def test_a_newer_label_with_the_same_mistakes_keeps_the_issues_and_is_sent_back(function, kili, submitted, raised):
    asset_id, label_id = submitted()
    function.check(label_id)
    again = kili.submit(asset_id, samples.WITH_TWO_MISTAKES)
    accounts = [function.check(again)["done"] for _ in range(2)]
    assert [(done["created"], done["kept"], done["sent_back"]) for done in accounts] == [(0, 2, True), (0, 2, False)]
    assert len(raised(asset_id)) == 2
    assert kili.sent_back.count(asset_id) == 2


def test_a_label_that_is_edited_is_checked_again(function, kili, submitted, raised):
    asset_id, label_id = submitted()
    function.check(label_id)
    for content, open_issues in ((samples.CORRECTED, 0), (samples.WITH_TWO_MISTAKES, 2)):
        kili.edit(label_id, content)
        function.check(label_id, generation="whole", subject="label.workflow.edited")
        assert len(raised(asset_id, "OPEN")) == open_issues


def test_two_labellers_of_one_asset_have_issues_of_their_own(function, kili, submitted, raised):
    asset_id, of_ada = submitted(author="ada")
    of_bob = kili.submit(asset_id, samples.WITH_TWO_MISTAKES, author="bob")
    function.check(of_ada)
    function.check(of_bob)
    assert len(raised(asset_id, "OPEN")) == 4
    function.check(kili.submit(asset_id, samples.CORRECTED, author="bob"))
    assert {issue["label"] for issue in raised(asset_id, "OPEN")} == {of_ada}


def test_an_earlier_send_back_does_not_spare_another_labeller(function, kili, submitted):
    asset_id, of_ada = submitted(author="ada")
    of_bob = kili.submit(asset_id, samples.WITH_TWO_MISTAKES, author="bob")
    function.check(of_ada)
    function.check(kili.submit(asset_id, samples.CORRECTED, author="ada"))
    assert kili.assets[asset_id]["status"] == "LABELED"
    assert function.check(of_bob)["done"]["sent_back"] is True


def test_a_review_without_mistakes_resolves_the_issues_of_the_labeller(function, kili, submitted, raised):
    asset_id, label_id = submitted()
    function.check(label_id)
    review = kili.submit(asset_id, samples.CORRECTED, label_type="REVIEW", author="reviewer")
    assert function.check(review)["handler"] == "review"
    assert raised(asset_id, "OPEN") == []


@pytest.mark.parametrize("next_author", ["ada", "bob"])
def test_late_events_of_labels_before_and_after_a_review_change_nothing(function, kili, submitted, raised, next_author):
    asset_id, label_id = submitted(author="ada")
    function.check(label_id)
    review = kili.submit(asset_id, samples.CORRECTED, label_type="REVIEW", author="reviewer")
    function.check(review)
    again = kili.submit(asset_id, samples.WITH_TWO_MISTAKES, author=next_author)
    function.check(again)
    for older in (label_id, review):
        assert "newer label" in function.check(older)["ignored"]
    assert [issue["label"] for issue in raised(asset_id, "OPEN")] == [again, again]


@pytest.mark.parametrize("label_type", ["AUTOSAVE", "PREDICTION"])
def test_drafts_and_predictions_do_not_replace_a_label(function, kili, submitted, raised, label_type):
    asset_id, label_id = submitted()
    kili.submit(asset_id, samples.CORRECTED, label_type=label_type)
    assert "ignored" not in function.check(label_id)
    assert len(raised(asset_id, "OPEN")) == 2


def test_issues_on_parts_of_a_label_that_cannot_be_read_stay_open(function, kili, submitted, raised):
    asset_id, label_id = submitted()
    function.check(label_id)
    for content in ({"JOB_0": "?"}, None, [], '"x"'):
        function.check(kili.submit(asset_id, content))
    assert len(raised(asset_id, "OPEN")) == 2
    broken = samples.label(samples.TOO_LARGE, samples.TANK)
    broken["JOB_0"]["annotations"][0]["boundingPoly"][0]["normalizedVertices"][0]["x"] = "?"
    function.check(kili.submit(asset_id, broken))
    assert [issue["status"] for issue in raised(asset_id) if issue["mid"]] == ["OPEN"]
