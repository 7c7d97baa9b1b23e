"""Whatever is posted, and whatever a label contains: the answer is JSON, and never a 500."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.simulators.kili import samples

KEYS = st.sampled_from(
    [
        *("event", "eventType", "payload", "logPayload", "projectId", "label", "labelId", "id", "asset_id", "assetId"),
        *(
            "userId",
            "JOB_0",
            "annotations",
            "categories",
            "name",
            "boundingPoly",
            "normalizedVertices",
            "x",
            "y",
            "mid",
        ),
        *("type", "point", "points", "polyline", "children", "text", "0", "1", "isKeyFrame"),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["onSubmit", "label.workflow.created.default", "rectangle", "semantic", "OBJECT_A", "FR76"]),
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def spoilt(draw: st.DrawFn, value: Any, chance: int = 12) -> Any:
    """The same JSON with some of its values replaced."""
    if draw(st.integers(0, chance)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: spoilt(draw, inner, chance) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoilt(draw, inner, chance) for inner in value]
    return value


@pytest.fixture(scope="module")
def body(running_stack: Any) -> dict[str, Any]:
    label_id = running_stack.kili.submit(
        running_stack.kili.add_asset(samples.PROJECT, "asset-of-any-body"), samples.CORRECTED
    )
    event: dict[str, Any] = running_stack.kili.event(label_id)
    return event


@SHARED
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_gets_an_answer(function, content):
    answer = function.post(content)
    assert answer.status in (200, 400, 404)
    assert answer.json.keys() & {"error", "ignored"}


@SHARED
@given(data=st.data())
def test_any_spoilt_event_gets_an_answer(function, body, data):
    answer = function.post(data.draw(st.composite(spoilt)(copy.deepcopy(body))))
    assert answer.status in (200, 400, 404)
    assert isinstance(answer.json, dict)


@pytest.mark.parametrize("plain", ["a label", "anything"])
@SHARED
@given(data=st.data())
def test_any_label_is_checked(function, kili, submitted, data, plain):
    label = data.draw(st.composite(spoilt)(samples.WITH_TWO_MISTAKES) if plain == "a label" else JSON)
    asset_id, label_id = submitted(json.dumps(label))
    answer = function.check(label_id)
    assert "done" in answer
    assert "failed" not in answer.get("unchecked", {}).values()
    assert (kili.assets[asset_id]["status"] == "ONGOING") == answer["done"]["sent_back"]
