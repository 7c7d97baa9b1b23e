"""Any request has an answer: results that the viewer can show, or an error of the caller or of Slide Score."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from triggers import rect, through_api, through_url, trigger_body

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.parameters import questions_string
from local import slides, stack, template
from local.lambdas import Context, Handler, load
from local.simulators.slidescore import SlideScore
from local.stack import Stack

WIDTH, HEIGHT = 120, 90
SHIPPED = [ANALYZERS[name] for name in ("dab_positivity", "dark_regions", "density", "nuclei", "tissue")]
TITLES = [analyzer.title for analyzer in SHIPPED]
FIELDS = ("host", "apitoken", "secret", "studyid", "imageid", "answers", "analyzer", "email", "casename")

words = st.text(max_size=12)
numbers = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    numbers | words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)
coordinates = (
    st.integers(-200, 300)
    | st.floats(-200, 300)
    | st.sampled_from([None, 0, 1e8, -1e8, 3e9, -3e9, 1e30, -1e30, 1e308, 2**63, 5e-324])
)
points = st.fixed_dictionaries({"x": coordinates, "y": coordinates}) | st.just({})
rings = st.lists(points, max_size=6)
shapes = st.builds(rect, *[coordinates] * 4) | st.fixed_dictionaries(
    {"type": st.sampled_from(["rect", "ellipse", "polygon", "brush", "RECT"]) | words},
    optional={
        **dict.fromkeys(("corner", "center", "size"), points | st.none()),
        **dict.fromkeys(("positivePolygons", "negativePolygons"), st.lists(rings, max_size=3)),
        "points": rings,
        "label": values,
    },
)


class Function:
    """The function with a Slide Score that has a small slide, called as Lambda calls it."""

    def __init__(self, handler: Handler, slidescore: SlideScore) -> None:
        self._handler, self.slidescore = handler, slidescore

    def status_and_text(self, body: str | bytes, event: Callable[..., dict[str, Any]] = through_url) -> tuple[int, str]:
        answer = self._handler(event(body), Context("SlideScoreFunction", 300.0))
        return answer["statusCode"], answer["body"]

    def status(self, **body: Any) -> int:
        """The status of a trigger with a valid token. Results must be such as the viewer can show."""
        token = self.slidescore.token()
        filled = trigger_body(**{"host": self.slidescore.origin, "apitoken": token, **body})
        status, text = self.status_and_text(json.dumps(filled))
        if status == 200:
            check(json.loads(text))
        if status in (200, 400) and (filled.get("host"), filled.get("apitoken")) == (self.slidescore.origin, token):
            assert self.slidescore.given_up[-1:] == [token]
        return status


def check(results: list[dict[str, Any]]) -> None:
    assert results[-1]["type"] == "text"
    for result in results[:-1]:
        if result["type"] != "anno2":
            polygons = result["value"] if result["type"] == "polygons" else [{"points": result["value"]}]
            vertices = [xy for polygon in polygons for xy in polygon["points"]]
            assert all(0 <= xy["x"] <= WIDTH and 0 <= xy["y"] <= HEIGHT for xy in vertices)


@pytest.fixture(scope="module")
def function(running_stack: Stack) -> Iterator[Function]:
    field = slides.immunohistochemistry().pixels[:HEIGHT, :WIDTH]
    with SlideScore({1: slides.Slide("field", field, mpp=0.5)}) as slidescore:
        functions = template.functions({"SlideScoreOrigins": slidescore.origin}, stack.RESOURCES)
        (chosen,) = (function for function in functions if function.folder.name == "slidescore")
        yield Function(load(chosen, running_stack.environment), slidescore)
        assert [text for text in slidescore.violations if not re.fullmatch(r"image -?\d+ does not exist", text)] == []


each_event = pytest.mark.parametrize("event", [through_api, through_url])


@each_event
@given(body=st.binary(max_size=300) | st.builds(json.dumps, values))
def test_any_body_without_the_secret_is_refused(
    function: Function, event: Callable[..., dict[str, Any]], body: str | bytes
) -> None:
    assert function.status_and_text(body, event)[0] in (400, 401)


@given(fields=st.dictionaries(st.sampled_from(FIELDS) | words, values | st.just(...), min_size=1, max_size=3))
def test_a_field_may_be_anything(function: Function, fields: dict[str, Any]) -> None:
    assert function.status(**fields) in (200, 400, 401, 403, 502)


@given(answer=st.lists(shapes, max_size=3), as_text=st.booleans(), analysis=st.sampled_from(TITLES))
def test_a_region_may_be_any_shapes(function: Function, answer: list[Any], as_text: bool, analysis: str) -> None:
    roi = json.dumps(answer) if as_text else answer
    assert function.status(answered={"ROI": roi, "Analysis": analysis, "Show": ...}) in (200, 400)


@given(answer=values | st.builds(json.dumps, values) | st.text())
def test_a_region_may_be_anything(function: Function, answer: object) -> None:
    assert function.status(answered={"ROI": answer}) == 400


likely = st.sampled_from(["0", "0.5", "40", "1e3", "nan", "inf", "-0", "H-DAB", "DAB", "either", "Centres", *TITLES])


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Answers to the questions of one analyzer."""
    analyzer = draw(st.sampled_from(SHIPPED))
    names = [line.partition("\t")[0] for line in questions_string([analyzer]).splitlines()[1:]]
    answered = st.dictionaries(st.sampled_from(names), likely | values | numbers.map(str), max_size=5)
    return {"Analysis": analyzer.title, **draw(answered)}


@given(answered=answers())
def test_answers_may_be_anything(function: Function, answered: dict[str, Any]) -> None:
    assert function.status(answered={"Nuclei: stain": ..., "Show": ..., **answered}) in (200, 400)


@pytest.mark.parametrize("question", ["ROI", "Analysis", "Show", "Nuclei: stain", "Comment"])
def test_answers_may_be_nested_to_any_depth(function: Function, question: str) -> None:
    body = trigger_body(answered={question: "NESTED"}, host=function.slidescore.origin)
    for depth in [0, 1, 500, *range(900, 1000, 14), 1_000, 200_000]:
        nested = "[" * depth + "]" * depth
        for value in (nested, json.dumps(nested)):
            status, _ = function.status_and_text(json.dumps(body).replace('"NESTED"', value or "null"))
            assert status in (400, 502), depth


@each_event
@pytest.mark.parametrize("key", ["secret", "host", "apitoken", "studyid", "analyzer", "email", "casename"])
def test_text_may_be_unusual(function: Function, event: Callable[..., dict[str, Any]], key: str) -> None:
    for text in ("\ud800", "a\udc00b", "\x00", "\u202e", "e\u0301", "\U0001f9ec" * 99, "\r\nHost: x"):
        body = trigger_body(**{"host": function.slidescore.origin, key: text})
        for content in (json.dumps(body), json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")):
            status, _ = function.status_and_text(content, event)
            assert status in (400, 401, 403, 502), text
