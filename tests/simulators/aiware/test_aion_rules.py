"""AION's rules find each flaw where it is. Those of v1.2 are held against the vendor's schemas in tests/contract."""

from __future__ import annotations

import copy
import math

import pytest

from local.simulators.aiware.aion import judged, problems

pytestmark = pytest.mark.thorough

BOX = [{"x": 0.1, "y": 0.2}, {"x": 0.5, "y": 0.2}, {"x": 0.5, "y": 0.9}, {"x": 0.1, "y": 0.9}]
OBJECT = {"type": "object", "label": "dog", "confidence": 0.91, "boundingPoly": BOX}
FACE = {"type": "face", "label": "Ada", "confidence": 1, "boundingPoly": BOX, "vendor": {"track": 3}}
UUID = "fe261482-af8d-4709-aefb-ff1c19b61eb9"
MISSING = object()


def series(*objects, start=1000):
    items = [{"startTimeMs": start, "stopTimeMs": start + 1000, "object": object_} for object_ in objects]
    return {"generatedDateUTC": "2025-01-01T00:00:00Z", "series": items}


SERIES = series(OBJECT, OBJECT) | {"validationContracts": ["object"]}
FACES = series(FACE)
CONCEPT = {"object": [{"type": "concept", "text": "peace"}]}
DATA = {"validationContracts": [UUID], "object": [{"type": "object", "structuredData": {UUID: {"speed": 3}}}]}
VARIED = {
    "$comment": "made by hand",
    "gps": [{"latitude": 38.9, "longitude": -77.0, "direction": 10.5}],
    "vendor": {"anything": [None, True, 1.5, {"deep": []}]},
    "object": [{"type": "object", "boundingPoly": [{"x": 0, "y": 1}], "collateIndex": 3}, {"type": "barcode"}],
}


@pytest.mark.parametrize("document", [{}, SERIES, series(), FACES, CONCEPT, DATA, VARIED])
def test_what_keeps_all_rules_is_let_through(document):
    assert problems(document) == []


def planted(document, path, value):
    """A copy in which something is put at a path, or taken away from there."""
    changed = copy.deepcopy(document)
    *above, last = path
    place = changed
    for key in above:
        place = place[key]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return changed


ITEM = ("series", 0)
THING = ("series", 0, "object")
POLYGON = (*THING, "boundingPoly")
CONTRACTS = ("validationContracts",)

FLAWS = [
    # of v1.2: where a flaw is
    (SERIES, (*THING, "confidence"), 91, "series[0].object.confidence: 91 is not from 0 to 1"),
    (SERIES, (*POLYGON, 2, "y"), MISSING, "series[0].object.boundingPoly[2]: has no y"),
    (SERIES, ("validationContracts",), ["face"], "validationContracts[0]: 'face' is no contract"),
    (SERIES, ("series",), MISSING, "document: promises object, and has no object or series"),
    # of v2.0
    (SERIES, CONTRACTS, ["object", "face"], "validationContracts[1]: 'face' is no contract"),
    (SERIES, CONTRACTS, [UUID], "validationContracts[0]: needs structuredData"),
    (SERIES, ("$comment",), 1, "$comment: is not a text"),
    (FACES, POLYGON, MISSING, "series[0].object: is of type face, and has no boundingPoly"),
    (FACES, (*THING, "text"), "x", "series[0].object: is of type face, to which 'text' does not belong"),
    (CONCEPT, ("object", 0, "text"), MISSING, "object[0]: is a concept, and has neither text nor objectCategory"),
    # in no schema
    (SERIES, (*THING, "confidence"), math.nan, "series[0].object.confidence: is nan, which JSON does not have"),
    (SERIES, ("vendor",), {"a": [math.inf]}, "vendor.a[0]: is inf, which JSON does not have"),
    (SERIES, (*THING, "label"), "a\ud800", "series[0].object.label: has half a character"),
    (SERIES, POLYGON, [*BOX, BOX[0]], "series[0].object.boundingPoly: repeats its first point"),
    (SERIES, POLYGON, BOX[::-1], "series[0].object.boundingPoly: goes counterclockwise"),
    (SERIES, (*ITEM, "stopTimeMs"), 999, "series[0]: stops at 999 ms, before it starts"),
    (SERIES, (*ITEM, "stopTimeMs"), 2000.0, "series[0].stopTimeMs: 2000.0 is written as a fraction"),
    (SERIES, (*ITEM, "startTimeMs"), 1500, "series[1]: starts at 1000 ms, before the item above it"),
    (SERIES, ("estimatedProcessingTimeInSeconds",), 5, "estimatedProcessingTimeInSeconds: is lost"),
    (SERIES, ("generatedDateUTC",), "2025-01-01", "generatedDateUTC: '2025-01-01' is no date and time"),
    (SERIES, ("generatedDateUTC",), "2025-01-01T00:00:00", "'2025-01-01T00:00:00' is no date and time with a zone"),
    (SERIES, ("generatedDateUTC",), "2025-02-30T00:00:00Z", "generatedDateUTC: '2025-02-30T00:00:00Z' is no date"),
    (VARIED, ("object", 1, "collateIndex"), 3, "document: has the collateIndex 3 twice"),
]


@pytest.mark.parametrize(("document", "path", "value", "told"), FLAWS, ids=[told for *_, told in FLAWS])
def test_a_flaw_is_found_where_it_is(document, path, value, told):
    flaws = problems(planted(document, path, value))
    assert any(told in flaw for flaw in flaws), flaws


@pytest.mark.parametrize("document", [None, [], [SERIES]])
def test_what_is_no_object_is_no_document(document):
    assert problems(document) == ["document: is not an object"]


def test_a_rule_of_both_schemas_is_told_from_one_that_only_the_later_has_and_one_that_none_has():
    face = planted(FACES, (*THING, "confidence"), 2)
    face = planted(planted(face, (*THING, "text"), "x"), (*ITEM, "stopTimeMs"), 0)
    assert {flaw.path: flaw.rule for flaw in judged(face)} == {
        "series[0].object.confidence": "v1.2",
        "series[0].object": "v2.0",
        "series[0]": "unstated",
    }


def test_of_very_many_problems_a_hundred_are_told():
    assert len(problems({"object": [{}] * 5000})) == 100


def test_however_deep_a_document_is_it_is_judged():
    deep = math.nan
    for _ in range(5_000):
        deep = [deep]
    (problem,) = problems({"vendor": {"deep": deep}})
    assert problem.endswith("[0][0]: is nan, which JSON does not have")
