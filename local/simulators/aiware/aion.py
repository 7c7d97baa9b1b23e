"""The rules of AION: those of v1.2, those that v2.0 adds, and those that no schema states.

A document that follows all of them is valid for every toolkit. Sources: the vendor's schemas v1.2 and v2.0, in the npm
package veritone-json-schemas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice, pairwise
from typing import Any, Literal, NamedTuple

Rule = Literal["v1.2", "v2.0", "unstated"]

_MAX_PROBLEMS = 100


class Problem(NamedTuple):
    """path: as in `series[3].object.label`. rule: the schema with the rule; v1.2 means both."""

    path: str
    what: str
    rule: Rule = "v1.2"

    def __str__(self) -> str:
        return f"{self.path or 'document'}: {self.what}"


Problems = Iterator[Problem]
Check = Callable[[Any, str], Problems]


def problems(document: Any) -> list[str]:
    """The first hundred problems of a decoded JSON document; none if it is AION."""
    return [str(problem) for problem in islice(judged(document), _MAX_PROBLEMS)]


def judged(document: Any) -> Problems:
    """All problems of a decoded JSON document, with the rule that each breaks."""
    if not isinstance(document, dict):
        yield Problem("", "is not an object")
        return
    yield from _DOCUMENT(document, "")
    yield from _not_json(document)
    yield from _root(document)
    yield from _contracts(document)
    yield from _order(document)


# ---- values


def _text(value: Any, path: str) -> Problems:
    if not isinstance(value, str):
        yield Problem(path, "is not a text")


def _one_of(*choices: str) -> Check:
    def check(value: Any, path: str) -> Problems:
        if value not in choices:
            yield Problem(path, f"{value!r:.60} is not one of {', '.join(choices)}")

    return check


def _flag(value: Any, path: str) -> Problems:
    if not isinstance(value, bool):
        yield Problem(path, "is neither true nor false")


def _number(least: float = -math.inf, most: float = math.inf) -> Check:
    def check(value: Any, path: str) -> Problems:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Problem(path, "is not a number")
        elif value < least or value > most:
            yield Problem(path, f"{value} is not from {least:g} to {most:g}")

    return check


def _integer(least: float = -math.inf) -> Check:
    def check(value: Any, path: str) -> Problems:
        if isinstance(value, float) and value.is_integer():
            yield Problem(path, f"{value} is written as a fraction, which an integer of Go does not take", "unstated")
        elif isinstance(value, bool) or not isinstance(value, int):
            yield Problem(path, "is not a whole number")
        if isinstance(value, int | float) and value < least:
            yield Problem(path, f"{value} is below {least:g}")

    return check


def _array(item: Check, least: int = 0) -> Check:
    def check(value: Any, path: str) -> Problems:
        if not isinstance(value, list):
            yield Problem(path, "is not an array")
            return
        if len(value) < least:
            yield Problem(path, f"has {len(value)} items, and needs {least}")
        for index, element in enumerate(value):
            yield from item(element, f"{path}[{index}]")

    return check


def _record(known: Mapping[str, Check], required: tuple[str, ...] = (), *, is_open: bool = False) -> Check:
    """Checks an object. is_open: other keys are allowed."""

    def check(value: Any, path: str) -> Problems:
        if not isinstance(value, dict):
            yield Problem(path, "is not an object")
            return
        for key in required:
            if key not in value:
                yield Problem(path, f"has no {key}")
        for key, member in value.items():
            if key in known:
                yield from known[key](member, f"{path}.{key}" if path else key)
            elif not is_open:
                yield Problem(path, f"has {key!r:.60}, which does not belong there")

    return check


def _anything(value: Any, path: str) -> Problems:
    yield from ()


_CONFIDENCE = _number(0, 1)
_POINT = _record({"x": _CONFIDENCE, "y": _CONFIDENCE}, ("x", "y"))


def _polygon(value: Any, path: str) -> Problems:
    flaws = list(_array(_POINT)(value, path))
    yield from flaws
    if flaws:
        return
    if len(value) in (0, 2):
        yield Problem(path, f"has {len(value)} points, and needs 1, or 3 or more")
    if len(value) < 3:
        return
    if value[0] == value[-1]:
        yield Problem(path, "repeats its first point, which is joined to the last without that", "unstated")
    doubled = sum(a["x"] * b["y"] - b["x"] * a["y"] for a, b in pairwise([*value, value[0]]))
    if doubled < 0:
        yield Problem(path, "goes counterclockwise, as a hole does", "unstated")


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _structured(value: Any, path: str) -> Problems:
    yield from _OPEN(value, path)
    for key in value if isinstance(value, dict) else ():
        if not _UUID.fullmatch(key):
            yield Problem(path, f"has {key!r:.60}, which is no lower-case UUID of a schema")


def _sentiment(value: Any, path: str) -> Problems:
    ratings = {f"{sign}{what}": _CONFIDENCE for sign in ("positive", "negative") for what in ("Value", "Confidence")}
    yield from _record(ratings)(value, path)
    if not isinstance(value, dict):
        return
    if "positiveValue" not in value and "negativeValue" not in value:
        yield Problem(path, "has neither positiveValue nor negativeValue")
    for sign in ("positive", "negative"):
        if f"{sign}Confidence" in value and f"{sign}Value" not in value:
            yield Problem(path, f"has {sign}Confidence without {sign}Value")


def _words(value: Any, path: str) -> Problems:
    known = {"word": _text, "confidence": _CONFIDENCE, "utteranceLength": _integer(1), "bestPath": _flag}
    flaws = list(_array(_record(known, ("word",)), least=1)(value, path))
    yield from flaws
    if flaws or len(value) < 2:
        return
    for index, word in enumerate(value):
        for key in ("confidence", "utteranceLength"):
            if key not in word:
                yield Problem(f"{path}[{index}]", f"has no {key}, beside another word")
        if word in value[:index]:
            yield Problem(f"{path}[{index}]", "is there twice")
    if sum(word.get("bestPath", False) for word in value) != 1:
        yield Problem(path, "needs bestPath on exactly one word")


# ---- parts of a document

_OPEN = _record({}, is_open=True)
_RATED = _record({"confidence": _CONFIDENCE}, is_open=True)
_TAGS = _array(_record({"key": _text, "value": _text, "score": _CONFIDENCE}, ("key",), is_open=True))
_EMOTION = {"emotion": _text, "emotionValue": _CONFIDENCE, "emotionConfidence": _CONFIDENCE}
_EMOTIONS = _array(_record(_EMOTION, ("emotion",), is_open=True))
_PLACE = {
    "latitude": _number(-90, 90),
    "longitude": _number(-180, 360),
    "precision": _number(),
    "direction": _number(0, 360),
    "velocity": _number(),
    "altitude": _number(),
}
_GPS = _array(_record(_PLACE, ("latitude", "longitude")))
_MEDIA = _record({"assetId": _text, "contentType": _text, "language": _text}, ("assetId",), is_open=True)
_INDEXING = {"page": _integer(1), "paragraph": _integer(1), "sentence": _integer(1)}
_TYPES = (
    *("object", "face", "facial-features", "face-verification", "speaker-verification", "licensePlate", "logo"),
    *("fingerprint", "speaker", "sound", "concept", "keyword", "text", "namedEntity", "barcode", "anomaly"),
)
_OBJECT = _record(
    {
        "type": _one_of(*_TYPES),
        **dict.fromkeys(("label", "uri", "text", "language", "libraryId", "entityId", "entityIdentifierId"), _text),
        **_INDEXING,
        "confidence": _CONFIDENCE,
        "collateIndex": _integer(),
        "transcription": _record({"text": _text, "confidence": _CONFIDENCE}, ("confidence",), is_open=True),
        "lipVoiceCorrelation": _RATED,
        "lipMovement": _RATED,
        "faceLandmarks": _array(
            _record({"type": _text, "locationPoly": _polygon}, ("type", "locationPoly"), is_open=True)
        ),
        "sentiment": _sentiment,
        "emotions": _EMOTIONS,
        "age": _record({"min": _number(), "max": _number(), "confidence": _CONFIDENCE}, is_open=True),
        "objectCategory": _array(
            _record({"class": _text, "@id": _text, "confidence": _CONFIDENCE}, ("class",)), least=1
        ),
        "boundingPoly": _polygon,
        "gps": _GPS,
        "structuredData": _structured,
        "vendor": _OPEN,
        "mode": _one_of("enroll", "verify"),
        "region": _one_of("left", "right", "top", "bottom"),
    },
    ("type",),
)

# By type: the keys that v2.0 requires, and the others that it allows, None for any. Keys that v1.2 does not have are
# missing, so no licence plate is valid in both versions.
_FACE = {
    *("label", "confidence", "libraryId", "entityId", "uri", "emotions", "age", "faceLandmarks"),
    *("lipVoiceCorrelation", "lipMovement", "vendor", "boundingPoly"),
}
_BY_TYPE: dict[str, tuple[set[str], set[str] | None]] = {
    "face": ({"boundingPoly"}, _FACE),
    "face-verification": (set(), _FACE),
    "facial-features": (set(), _FACE),
    "fingerprint": ({"label", "text"}, {"vendor"}),
    "licensePlate": ({"licensePlate"}, {"label", "boundingPoly", "uri", "vendor"}),
    "logo": ({"label", "confidence", "boundingPoly"}, {"uri", "vendor"}),
    "namedEntity": ({"label", "objectCategory"}, {*_INDEXING, "libraryId", "entityId", "text", "vendor"}),
    "sound": ({"label"}, {"confidence", "vendor"}),
    "speaker": ({"label"}, {"confidence", "libraryId", "entityId", "vendor"}),
    "text": (
        {"text"},
        {*_INDEXING, "label", "language", "confidence", "boundingPoly", "sentiment", "emotions", "vendor"},
    ),
}


def _object(value: Any, path: str) -> Problems:
    yield from _OBJECT(value, path)
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return
    if kind == "concept" and not {"text", "objectCategory"} & set(value):
        yield Problem(path, "is a concept, and has neither text nor objectCategory", "v2.0")
    required, others = _BY_TYPE.get(kind, (set(), None))
    for key in sorted(required - set(value)):
        yield Problem(path, f"is of type {kind}, and has no {key}", "v2.0")
    for key in sorted(set(value) - required - others - {"type"}) if others is not None else ():
        yield Problem(path, f"is of type {kind}, to which {key!r:.60} does not belong", "v2.0")


_ITEM = _record(
    {
        "startTimeMs": _integer(0),
        "stopTimeMs": _integer(0),
        **dict.fromkeys(("summary", "speakerId", "language", "libraryId", "entityId"), _text),
        "tags": _TAGS,
        "words": _words,
        "sentiment": _sentiment,
        "emotions": _EMOTIONS,
        "object": _object,
        "gps": _GPS,
        "structuredData": _structured,
        "vendor": _OPEN,
        "media": _MEDIA,
    },
    ("startTimeMs", "stopTimeMs"),
)


def _item(value: Any, path: str) -> Problems:
    yield from _ITEM(value, path)
    if isinstance(value, dict):
        start, stop = value.get("startTimeMs"), value.get("stopTimeMs")
        if isinstance(start, int) and isinstance(stop, int) and stop < start:
            yield Problem(path, f"stops at {stop} ms, before it starts at {start} ms", "unstated")


_ROOT: dict[str, Check] = {
    **dict.fromkeys(("schemaId", "sourceEngineId", "sourceEngineName", "taskId", "externalSourceId"), _text),
    **dict.fromkeys(("generatedDateUTC", "language", "summary"), _text),
    "taskPayload": _OPEN,
    "validationContracts": _array(_anything, least=1),
    "tags": _TAGS,
    "collateIndex": _integer(),
    "sentiment": _sentiment,
    "emotions": _EMOTIONS,
    "gps": _GPS,
    "vendor": _OPEN,
    "object": _array(_object),
    "series": _array(_item),
    "media": _array(_MEDIA),
}
_DOCUMENT = _record(_ROOT, is_open=True)


# ---- the whole document


def _not_json(document: Any) -> Problems:
    """Values that JSON cannot hold, at any depth."""
    left = [("", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{key}" if path else str(key), member) for key, member in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}[{index}]", element) for index, element in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(path, f"is {value}, which JSON does not have", "unstated")
        elif isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            yield Problem(path, "has half a character, which UTF-8 does not have", "unstated")


def _root(document: dict[str, Any]) -> Problems:
    for key, value in document.items():
        if "$" in key:
            for problem in _text(value, key):
                yield problem._replace(rule="v2.0")
        elif key not in _ROOT:
            yield Problem(key[:60], "is lost, as the toolkit keeps only what it knows", "unstated")
    generated = document.get("generatedDateUTC")
    if isinstance(generated, str) and not _is_moment(generated):
        yield Problem("generatedDateUTC", f"{generated!r:.60} is no date and time with a zone", "unstated")


def _is_moment(text: str) -> bool:
    """Source: RFC 3339, section 5.6."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()))
    except ValueError:
        return False
    return True


class _Contract(NamedTuple):
    """The requirements of a validation contract.

    roots: at least one of these keys is present. types: allowed types of the objects, () for any. required: keys of
    each object. in_series: series items must follow it too: each has an object, and none a page.
    """

    roots: tuple[str, ...]
    types: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    in_series: bool = False


_CONTRACTS = {
    "object": _Contract(("object", "series"), ("object",), in_series=True),
    "anomaly": _Contract(("object", "series"), ("anomaly",), in_series=True),
    "text": _Contract(("object", "series"), ("text",), ("text",), in_series=True),
    "concept": _Contract(("object",), ("concept",), ("objectCategory",)),
    "keyword": _Contract(("object",), ("keyword",), ("label",)),
    "entity": _Contract(("object",), ("namedEntity",)),
    "transcript": _Contract(("series",)),
    "language": _Contract(("language",)),
    "summary": _Contract(("summary",)),
    "media-translated": _Contract(("media",)),
    "sentiment": _Contract(("sentiment", "emotions", "object")),
}


def _contracts(document: dict[str, Any]) -> Problems:
    named = document.get("validationContracts")
    for index, name in enumerate(named if isinstance(named, list) else ()):
        path = f"validationContracts[{index}]"
        # v1.2's schema looks at the first only.
        rule: Rule = "v2.0" if index else "v1.2"
        if isinstance(name, str) and name in _CONTRACTS:
            yield from _contract(document, name)
        elif not isinstance(name, str) or not _UUID.fullmatch(name):
            yield Problem(path, f"{name!r:.60} is no contract", rule)
        elif not any(_all(document, key, _has_structured) for key in ("object", "series")):
            yield Problem(path, "needs structuredData in every object, or in every item of the series", "v2.0")


def _contract(document: dict[str, Any], name: str) -> Problems:
    contract = _CONTRACTS[name]
    if not any(key in document for key in contract.roots):
        yield Problem("", f"promises {name}, and has no {' or '.join(contract.roots)}")
    checked = [(f"object[{index}]", record) for index, record in enumerate(_records(document, "object"))]
    for index, item in enumerate(_records(document, "series")):
        path = f"series[{index}]"
        if name == "transcript" and "words" not in item:
            yield Problem(path, "has no words, which transcript asks for")
        if contract.in_series and "object" not in item:
            yield Problem(path, f"has no object, which {name} asks for")
        elif contract.in_series and isinstance(item["object"], dict):
            checked.append((f"{path}.object", item["object"]))
    for path, record in checked:
        if contract.types and record.get("type") not in contract.types:
            yield Problem(path, f"is of type {record.get('type')!r:.60}, which {name} does not allow")
        for key in contract.required:
            if key not in record:
                yield Problem(path, f"has no {key}, which {name} asks for")
        # v1.2 forbids pages in a series; for `object`, in a picture as well.
        if contract.in_series and (name == "object" or path.startswith("series")):
            for key in _INDEXING.keys() & record.keys():
                yield Problem(path, f"has {key}, which {name} does not allow there")
        if name == "entity" and not {"label", "entityId"} & record.keys():
            yield Problem(path, "has neither label nor entityId, which entity asks for")
    if name == "media-translated" and not all("language" in file for file in _records(document, "media")):
        yield Problem("media", "has a file without language, which media-translated asks for")
    if name == "sentiment" and not {"sentiment", "emotions"} & document.keys():
        for path, record in checked:
            if not {"sentiment", "emotions"} & record.keys():
                yield Problem(path, "has neither sentiment nor emotions, which sentiment asks for")


def _records(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in an array at the root. Other elements are problems that are reported elsewhere."""
    value = document.get(key)
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _all(document: dict[str, Any], key: str, holds: Callable[[dict[str, Any]], bool]) -> bool:
    return key in document and all(holds(element) for element in _records(document, key))


def _has_structured(value: dict[str, Any]) -> bool:
    return bool(value.get("structuredData"))


def _order(document: dict[str, Any]) -> Problems:
    """Series items are in the order of time, and no collateIndex occurs twice."""
    items = _records(document, "series")
    starts = [item.get("startTimeMs") for item in items]
    for index, (before, start) in enumerate(pairwise(starts), 1):
        if isinstance(before, int) and isinstance(start, int) and start < before:
            yield Problem(f"series[{index}]", f"starts at {start} ms, before the item above it", "unstated")
    objects = [
        *_records(document, "object"),
        *(item["object"] for item in items if isinstance(item.get("object"), dict)),
    ]
    seen: set[int] = set()
    for record in objects:
        number = record.get("collateIndex")
        if isinstance(number, int) and number in seen:
            yield Problem("", f"has the collateIndex {number} twice", "unstated")
        elif isinstance(number, int):
            seen.add(number)
