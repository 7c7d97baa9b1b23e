"""Faults of a simulated platform strike the requests they are meant for, and misspelt names are errors."""

from __future__ import annotations

import operator

import pytest

from local.simulators import aiware, kili, slidescore
from local.simulators.faults import Fault, Faults

KNOWN = {
    "slow": Fault("never answered"),
    "busy": Fault("429 for two requests", times=2),
    "broken_storage": Fault("500 from the storage", strikes=("storage",)),
}


@pytest.fixture
def faults() -> Faults:
    return Faults(KNOWN)


@pytest.mark.parametrize(
    "change",
    [
        lambda faults: faults.add("sloow"),
        lambda faults: faults.update(["sloow"]),
        lambda faults: faults.plan("sloow"),
        lambda faults: faults.replace(["slow", "sloow"]),
        lambda faults: operator.ior(faults, {"sloow"}),
    ],
)
def test_an_unknown_name_is_an_error_and_changes_nothing(faults, change):
    faults.add("busy")
    with pytest.raises(ValueError, match="unknown fault 'sloow'; known: slow, busy, broken_storage"):
        change(faults)
    assert faults == {"busy"}


def test_a_fault_strikes_the_kinds_of_request_it_is_for(faults):
    faults.update(["slow", "broken_storage"])
    assert faults.striking("labels") == ("slow",)
    assert faults.striking("storage") == ("slow", "broken_storage")


def test_a_fault_may_strike_its_first_requests_only(faults):
    for _ in range(2):
        faults.replace(["busy"])
        assert [faults.striking("labels") for _ in range(3)] == [("busy",), ("busy",), ()]


def test_a_planned_fault_strikes_one_kind_of_request_after_others_as_often_as_planned(faults):
    faults.plan("slow", on="labels", skip=1, times=2)
    struck = [faults.striking(kind) for kind in ("labels", "issues", "labels", "issues", "labels", "labels")]
    assert struck == [(), (), ("slow",), (), ("slow",), ()]
    assert faults.planned == []


def test_planned_faults_come_before_those_in_force(faults):
    faults.add("slow")
    faults.plan("busy", skip=1)
    assert [faults.striking("labels") for _ in range(3)] == [("slow",), ("busy", "slow"), ("slow",)]


def test_a_fault_cannot_be_planned_for_requests_it_does_not_strike(faults):
    with pytest.raises(ValueError, match="broken_storage strikes storage, not labels"):
        faults.plan("broken_storage", on="labels")


def test_clearing_ends_faults_and_plans(faults):
    faults.add("slow")
    faults.plan("busy", on="labels")
    assert faults.planned == ["busy"]
    faults.clear()
    assert (faults, faults.planned, faults.striking("labels")) == (set(), [], ())


@pytest.mark.parametrize(
    ("start", "known"),
    [
        (lambda names: slidescore.SlideScore({}, faults=names), slidescore.FAULTS),
        (lambda names: kili.Kili(faults=names), kili.FAULTS),
        (lambda names: aiware.Toolkit(faults=names), aiware.TOOLKIT_FAULTS),
        (lambda names: aiware.MediaServer(faults=names), aiware.MEDIA_FAULTS),
    ],
)
def test_a_simulator_takes_faults_at_its_start_and_others_later(start, known):
    with start(known) as simulator:
        assert simulator.faults == set(known)
        name = next(iter(known))
        simulator.faults = {name}
        assert simulator.faults == {name}
    with pytest.raises(ValueError, match="unknown fault 'sloow'"):
        start(["sloow"])
