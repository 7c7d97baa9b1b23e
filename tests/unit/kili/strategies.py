"""Hypothesis strategies for labels with malformed parts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from labels import RESPONSES

VOCABULARY = [
    "annotations", "boundingPoly", "normalizedVertices", "polyline", "points", "point", "x", "y", "type", "mid",
    "categories", "name", "children", "text", "content", "beginOffset", "beginId", "polys", "pageNumberArray",
    "startEntities", "endObjects", "choice", "code", "orders", "rank", "elements", "fileId", "isKeyFrame", "assetLevel",
    "0", "17", "JOB_0", "ROTATION_JOB", "rotation", "pageNumber", "chatItems", "chatItemId"
]  # fmt: skip
WORDS = ["rectangle", "polygon", "semantic", "polyline", "marker", "pose", "range", "", "m", "CAR", "0.5"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(VOCABULARY) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=40,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value with each of its keys or indices."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A label that Kili could have made, except for a few changed places."""
    label = copy.deepcopy(RESPONSES[draw(st.sampled_from(sorted(RESPONSES.keys() - {"nothing"})))])
    for _ in range(draw(st.integers(1, 4))):
        candidates = list(places(label))
        if not candidates:
            break
        container, key = draw(st.sampled_from(candidates))
        if draw(st.booleans()):
            container[key] = draw(ANYTHING)
        elif isinstance(container, dict):
            del container[key]
        else:
            container.append(draw(st.sampled_from(container) | SCALARS))
    return label
