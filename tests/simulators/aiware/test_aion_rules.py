"""AION's rules: what keeps them all is let through, and each flaw is found where it is."""

from __future__ import annotations

import copy
import math

import pytest

from local.simulators.aiware.aion import judged, problems

pytestmark = pytest.mark.thorough

BOX = [{"x": 0.1, "y": 0.2}, {"x": 0.5, "y": 0.2}, {"x": 0.5, "y": 0.9}, {"x": 0.1, "y": 0.9}]
OBJECT = {"type": "object", "label": "dog", "confidence": 0.91, "boundingPoly": BOX}
FACE = {"type": "face", "label": "Ada", "confidence": 1, "boundingPoly": BOX, "vendor": {"track": 3}}
WORD = {"word": "ours", "confidence": 0.5, "utteranceLength": 1}
UUID = "fe261482-af8d-4709-aefb-ff1c19b61eb9"
MISSING = object()


def series(*objects, start=1000):
    return {
        "generatedDateUTC": "2025-01-01T00:00:00Z",
        "series": [{"startTimeMs": start, "stopTimeMs": start + 1000, "object": each} for each in objects],
    }


DOCUMENTS = {
    "nothing": {},
    "a series of objects": series(OBJECT, OBJECT) | {"validationContracts": ["object"]},
    "an empty series": series() | {"validationContracts": ["object"]},
    "faces": series(FACE),
    "a barcode in a picture": {"object": [{"type": "barcode", "label": "4006381333931", "boundingPoly": BOX}]},
    "a point": {"object": [{"type": "object", "boundingPoly": [{"x": 0, "y": 1}]}]},
    "a transcript": {
        "validationContracts": ["transcript"],
        "series": [{"startTimeMs": 0, "stopTimeMs": 9, "words": [WORD | {"bestPath": True}, WORD | {"word": "hours"}]}],
    },
    "text on a page": {
        "validationContracts": ["text"],
        "object": [{"type": "text", "text": "hello", "page": 1, "paragraph": 2, "sentence": 3}],
    },
    "structured data": {
        "validationContracts": [UUID],
        "object": [{"type": "object", "structuredData": {UUID: {"speed": 3}}}],
    },
    "everything about the file": {
        "$comment": "made by hand",
        "language": "en-US",
        "summary": "A dog.",
        "tags": [{"key": "moderation", "value": "nudity", "score": 0.84}],
        "sentiment": {"positiveValue": 0.3, "positiveConfidence": 0.9},
        "emotions": [{"emotion": "happy", "emotionValue": 0.2}],
        "gps": [{"latitude": 38.9, "longitude": -77.0, "direction": 10.5}],
        "media": [{"assetId": "a", "contentType": "image/jpeg"}],
        "vendor": {"anything": [None, True, 1.5, {"deep": []}]},
        "validationContracts": ["language", "summary", "sentiment"],
    },
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
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


SERIES = DOCUMENTS["a series of objects"]
FIRST = ("series", 0)
THING = ("series", 0, "object")
POLYGON = (*THING, "boundingPoly")
TURNED = BOX[::-1]

FLAWS = {
    "NaN": (SERIES, (*THING, "confidence"), math.nan, "series[0].object.confidence: is nan, which JSON does not have"),
    "NaN where anything may be": (SERIES, ("vendor",), {"a": [math.inf]}, "vendor.a[0]: is inf, which JSON does not"),
    "half a character": (SERIES, (*THING, "label"), "a\ud800", "series[0].object.label: has half a character"),
    "a percentage": (SERIES, (*THING, "confidence"), 91, "series[0].object.confidence: 91 is not from 0 to 1"),
    "a number in a text": (SERIES, (*THING, "confidence"), "0.91", "series[0].object.confidence: is not a number"),
    "true for a number": (SERIES, (*THING, "confidence"), True, "series[0].object.confidence: is not a number"),
    "two points": (SERIES, POLYGON, BOX[:2], "series[0].object.boundingPoly: has 2 points"),
    "no points": (SERIES, POLYGON, [], "series[0].object.boundingPoly: has 0 points"),
    "a point left of it": (SERIES, (*POLYGON, 0, "x"), -1e-9, "boundingPoly[0].x: -1e-09 is not from 0 to 1"),
    "a point right of it": (SERIES, (*POLYGON, 1, "x"), 1.0000001, "boundingPoly[1].x: 1.0000001 is not from 0 to 1"),
    "a point in depth": (SERIES, (*POLYGON, 0, "z"), 0, "boundingPoly[0]: has 'z', which does not belong there"),
    "half a point": (SERIES, (*POLYGON, 2, "y"), MISSING, "boundingPoly[2]: has no y"),
    "a closed polygon": (SERIES, POLYGON, [*BOX, BOX[0]], "boundingPoly: repeats its first point"),
    "a hole": (SERIES, POLYGON, TURNED, "boundingPoly: goes counterclockwise"),
    "an end before the start": (SERIES, (*FIRST, "stopTimeMs"), 999, "series[0]: stops at 999 ms, before it starts"),
    "a time before all": (SERIES, (*FIRST, "startTimeMs"), -1, "series[0].startTimeMs: -1 is below 0"),
    "a fraction of a time": (SERIES, (*FIRST, "stopTimeMs"), 2000.5, "series[0].stopTimeMs: is not a whole number"),
    "a time as a fraction": (SERIES, (*FIRST, "stopTimeMs"), 2000.0, "series[0].stopTimeMs: 2000.0 is written as a"),
    "no end": (SERIES, (*FIRST, "stopTimeMs"), MISSING, "series[0]: has no stopTimeMs"),
    "confidence beside the object": (SERIES, (*FIRST, "confidence"), 0.5, "series[0]: has 'confidence', which does"),
    "several objects in an item": (SERIES, THING, [OBJECT], "series[0].object: is not an object"),
    "a series that is no array": (SERIES, ("series",), SERIES["series"][0], "series: is not an array"),
    "no order": (SERIES, (*FIRST, "startTimeMs"), 1500, "series[1]: starts at 1000 ms, before the item above it"),
    "an unknown type": (SERIES, (*THING, "type"), "dog", "series[0].object.type: 'dog' is not one of object, face"),
    "no type": (SERIES, (*THING, "type"), MISSING, "series[0].object: has no type"),
    "an unknown key of an object": (SERIES, (*THING, "found"), True, "series[0].object: has 'found', which does not"),
    "a key that v1.2 lacks": (SERIES, (*THING, "referenceId"), "r", "series[0].object: has 'referenceId', which does"),
    "another type than promised": (SERIES, THING, FACE, "series[0].object: is of type 'face', which object does not"),
    "no object, as promised": (SERIES, THING, MISSING, "series[0]: has no object, which object asks for"),
    "a page in a series": (SERIES, (*THING, "page"), 1, "series[0].object: has page, which object does not allow"),
    "nothing that was promised": (SERIES, ("series",), MISSING, "document: promises object, and has no object or ser"),
    "no contract": (SERIES, ("validationContracts",), [], "validationContracts: has 0 items, and needs 1"),
    "a contract of faces": (
        SERIES,
        ("validationContracts",),
        ["face"],
        "validationContracts[0]: 'face' is no contract",
    ),
    "a contract there is not, second": (
        *(SERIES, ("validationContracts",), ["object", "face"]),
        "validationContracts[1]: 'face' is no contract",
    ),
    "a schema without its data": (SERIES, ("validationContracts",), [UUID], "validationContracts[0]: needs structured"),
    "an acknowledgement": (
        SERIES,
        ("estimatedProcessingTimeInSeconds",),
        5,
        "estimatedProcessingTimeInSeconds: is lost",
    ),
    "a day": (SERIES, ("generatedDateUTC",), "2025-01-01", "generatedDateUTC: '2025-01-01' is no date and time"),
    "no zone": (SERIES, ("generatedDateUTC",), "2025-01-01T00:00:00", "generatedDateUTC: '2025-01-01T00:00:00' is no"),
    "no such day": (SERIES, ("generatedDateUTC",), "2025-02-30T00:00:00Z", "generatedDateUTC: '2025-02-30T00:00:00Z'"),
    "a number for a comment": (SERIES, ("$comment",), 1, "$comment: is not a text"),
    "a face without a place": (
        series(FACE),
        POLYGON,
        MISSING,
        "series[0].object: is of type face, and has no bounding",
    ),
    "a face with a category": (
        *(series(FACE), (*THING, "objectCategory"), [{"class": "person"}]),
        "series[0].object: is of type face, to which 'objectCategory' does not belong",
    ),
    "no category": (
        SERIES,
        (*THING, "objectCategory"),
        [],
        "series[0].object.objectCategory: has 0 items, and needs 1",
    ),
    "a plain logo": (
        *({"object": [{"type": "logo", "label": "A"}]}, ("object", 0, "confidence"), 0.3),
        "object[0]: is of type logo, and has no boundingPoly",
    ),
    "a bare concept": ({"object": [{}]}, ("object", 0, "type"), "concept", "object[0]: is a concept, and has neither"),
    "an order that is there twice": (
        *({"object": [OBJECT | {"collateIndex": 3}] * 2}, ("language",), "en"),
        "document: has the collateIndex 3 twice",
    ),
    "two best words": (
        *(DOCUMENTS["a transcript"], ("series", 0, "words", 1, "bestPath"), True),
        "series[0].words: needs bestPath on exactly one word",
    ),
    "a word beside others without confidence": (
        *(DOCUMENTS["a transcript"], ("series", 0, "words", 1, "confidence"), MISSING),
        "series[0].words[1]: has no confidence",
    ),
    "a page zero": (DOCUMENTS["text on a page"], ("object", 0, "page"), 0, "object[0].page: 0 is below 1"),
    "a tag of true": (
        *(DOCUMENTS["everything about the file"], ("tags", 0, "value"), True),
        "tags[0].value: is not a text",
    ),
    "confidence in nothing": (
        *(DOCUMENTS["everything about the file"], ("sentiment", "positiveValue"), MISSING),
        "sentiment: has positiveConfidence without positiveValue",
    ),
    "beyond the pole": (
        *(DOCUMENTS["everything about the file"], ("gps", 0, "latitude"), 91),
        "gps[0].latitude: 91 is not from -90 to 90",
    ),
    "data of no schema": (
        *(DOCUMENTS["structured data"], ("object", 0, "structuredData"), {"speed": 3}),
        "object[0].structuredData: has 'speed', which is no lower-case UUID",
    ),
}


@pytest.mark.parametrize(("document", "path", "value", "told"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_found_where_it_is(document, path, value, told):
    found = problems(planted(document, path, value))
    assert any(told in each for each in found), found


@pytest.mark.parametrize("document", [None, [], "AION", 3.5, [SERIES]])
def test_what_is_no_object_is_no_document(document):
    assert problems(document) == ["document: is not an object"]


def test_a_rule_of_both_schemas_is_told_from_one_that_only_the_later_has_and_one_that_none_has():
    face = planted(series(FACE), (*THING, "confidence"), 2)
    face = planted(planted(face, (*THING, "text"), "x"), (*FIRST, "stopTimeMs"), 0)
    assert {each.path: each.rule for each in judged(face)} == {
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
    assert [each[-35:] for each in problems({"vendor": {"deep": deep}})] == [
        "[0][0]: is nan, which JSON does not have"[-35:]
    ]
