"""The answers of a form, from the region to the parameters, and the results that they lead to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import cv2
import numpy as np
import pytest
from triggers import REGION, WITH_HOLES, accepted, rect, refusal, text_of, trigger_body

from annohooks.imaging.analyzers import ANALYZERS, Analyzer
from local import anno2
from local.demo import slidescore as demo
from local.simulators.slidescore import SlideScore
from local.stack import BUCKET

SHIPPED = {name: ANALYZERS[name] for name in ("dab_positivity", "dark_regions", "density", "nuclei", "tissue")}
DRAW_AGAIN = "Please draw the region of interest again, press Done, and send."
SMALLEST = "Nuclei: smallest area in um2"
BOTH = {"Show": "Outlines and centres"}
NO_AREA = f"The region of interest has no area: it is a point, a line, or too narrow for this analysis. {DRAW_AGAIN}"
Start = Callable[..., Any]


class TestRegion:
    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (..., f'No region of interest was drawn (question "ROI"). {DRAW_AGAIN}'),
            (json.dumps([rect(None, None, 9, 9)]), f"The region of interest was not finished. {DRAW_AGAIN}"),
            (json.dumps([rect(600, 0, 50, 50)]), f"The region of interest lies outside the slide. {DRAW_AGAIN}"),
            (json.dumps([rect(460, 2, 0.4, 30)]), NO_AREA),
        ],
    )
    def test_that_cannot_be_analysed_is_refused_with_the_reason(
        self, bundle: Start, answer: object, message: str
    ) -> None:
        assert refusal(bundle().trigger(trigger_body(answered={"ROI": answer}))) == (400, message)

    @pytest.mark.parametrize(
        ("shapes", "same"),
        [
            pytest.param([rect(None, None, 0, 0), REGION], [REGION], id="beside an unfinished shape"),
            pytest.param([rect(440, 470, -420, -440)], [REGION], id="drawn from the lower right"),
            pytest.param([rect(-100, -100, 9000, 300)], [rect(0, 0, 512, 200)], id="partly off the slide"),
        ],
    )
    def test_is_what_encloses_area_on_the_slide(self, bundle: Start, shapes: list[Any], same: list[Any]) -> None:
        started = bundle()
        one, other = (started.trigger(trigger_body(*drawn)) for drawn in (shapes, same))
        accepted(one)
        assert one.results == other.results

    def test_that_is_too_narrow_is_left_out_beside_another_one(self, bundle: Start) -> None:
        text = text_of(bundle().trigger(trigger_body(REGION, rect(460, 2, 0.4, 30))))
        assert "of the region (" in text
        assert "Left out, because too narrow: 1 of 2 regions." in text


class TestQuestions:
    @pytest.mark.parametrize(
        ("question", "answer", "expected"),
        [
            ("Show", "canary", "one of Outlines and centres, Outlines, Centres, Neither"),
            ("Nuclei: sensitivity, above 1 finds fainter nuclei", "nan", "a number from 0.2 to 5"),
        ],
    )
    def test_with_an_impossible_answer_are_named(
        self, bundle: Start, question: str, answer: str, expected: str
    ) -> None:
        refused = refusal(bundle().trigger(trigger_body(answered={question: answer})))
        assert refused == (400, f'The answer to "{question}" has to be {expected}.')

    def test_without_an_analysis_take_that_of_the_deployment(self, bundle: Start) -> None:
        started = bundle(SLIDESCORE_ANALYZER="dab_positivity")
        for answer in (..., "", None):
            viewed = started.trigger(trigger_body(answered={"Analysis": answer, "Show": "Neither"}))
            assert accepted(viewed) == [["text", "DAB positivity"]]

    @pytest.mark.parametrize("analyzer", SHIPPED.values(), ids=SHIPPED)
    def test_without_an_answer_to_show_take_the_analyzers_default(
        self, bundle: Start, analyzer: Analyzer[Any, Any]
    ) -> None:
        stain = {f"{analyzer.title}: stain": "H-DAB"} if "stain" in analyzer.parameters.__struct_fields__ else {}
        small = {f"{analyzer.title}: smallest area in um2": "8"}
        answers = {"Analysis": analyzer.title, "Show": ..., **stain, **small}
        viewed = bundle().trigger(trigger_body(answered=answers))
        names = [str(name) for kind, name in accepted(viewed) if kind != "text"]
        maps = [name for name in names if name.endswith(": map")]
        centres = [name for name in names if name.endswith("centres")]
        assert bool(centres) == ("centres" in analyzer.shows)
        assert (len(names) > len(maps) + len(centres)) == ("outlines" in analyzer.shows)
        assert bool(maps) == (analyzer.name == "density")

    def test_may_have_their_default_in_their_name_and_any_case(self, bundle: Start) -> None:
        started = bundle()
        first, *others = (
            started.trigger(trigger_body(answered={question: answer}))
            for question, answer in [
                (SMALLEST, "40.5"),
                (f"{SMALLEST} (default 8)", " 40,5 "),
                (SMALLEST.upper(), 40.5),
            ]
        )
        accepted(first)
        assert [viewed.results for viewed in others] == [first.results] * 2
        assert first.results != started.trigger(trigger_body()).results
        assert "Changed parameters: smallest area in um2 40.5; stain H-DAB." in text_of(first)


class TestResults:
    def test_are_a_text_only_when_nothing_was_found(self, bundle: Start) -> None:
        viewed = bundle().trigger(trigger_body(rect(100, 100, 500, 400), imageid=3, answered=BOTH))
        assert accepted(viewed) == [["text", "Nuclei"]]
        assert "nothing found in the region" in text_of(viewed)

    @pytest.mark.parametrize("shapes", [[REGION], [rect(20, 30, 200, 440), rect(230, 30, 200, 440)]])
    def test_are_the_largest_outlines_of_all_regions_when_there_are_too_many(
        self, bundle: Start, slidescore: SlideScore, shapes: list[dict[str, Any]]
    ) -> None:
        everything = bundle().trigger(trigger_body(*shapes))
        accepted(everything)
        polygons = next(result["value"] for result in everything.results if result["type"] == "polygons")
        assert isinstance(polygons, list)
        areas = sorted((area(polygon) for polygon in polygons), reverse=True)

        viewed = bundle(SLIDESCORE_MAX_OUTLINES="20", SLIDESCORE_MAX_INLINE_BYTES="0").trigger(trigger_body(*shapes))
        assert accepted(viewed) == [["anno2", "Nuclei"], ["text", "Nuclei"]]
        assert f"Only the largest 20 are shown. Counted but not shown: {len(areas) - 20}." in text_of(viewed)
        assert f"Nuclei: {len(areas)} found" in text_of(viewed)
        (zipped,) = slidescore.annos.values()
        shown = [cv2.contourArea(outline.astype(np.float32)) for outline in anno2.decode(zipped).outlines]
        assert len(shown) == 20
        assert set(shown) <= set(areas)
        assert min(shown) > 0.95 * areas[19]  # before simplification, the 20th may have been larger than the 21st

    def test_are_anno2_when_they_are_too_large_for_the_answer(self, bundle: Start, slidescore: SlideScore) -> None:
        small = bundle().trigger(trigger_body(answered=BOTH))
        assert accepted(small) == [["polygons", "Nuclei"], ["points", "Nuclei: centres"], ["text", "Nuclei"]]
        large = bundle(SLIDESCORE_MAX_INLINE_BYTES="500").trigger(trigger_body(answered=BOTH))
        assert accepted(large) == [["anno2", "Nuclei"], ["anno2", "Nuclei: centres"], ["text", "Nuclei"]]
        assert "are shown as anno2" in text_of(large)
        for inline, uploaded in zip(small.results[:2], large.results[:2], strict=True):
            expected, drawn = demo.drawn(inline, {}), demo.drawn(uploaded, slidescore.annos)
            np.testing.assert_array_equal(drawn.points, expected.points)
            assert len(drawn.rings) == len(expected.rings)
            for ring, same in zip(drawn.rings, expected.rings, strict=True):
                np.testing.assert_array_equal(ring, same)

    def test_leave_nothing_in_the_bucket(self, bundle: Start, slidescore: SlideScore) -> None:
        before = staged_keys()
        accepted(bundle().trigger(trigger_body(answered=WITH_HOLES)))
        assert slidescore.annos
        assert staged_keys() == before


def staged_keys() -> list[str]:
    objects = boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [staged["Key"] for staged in objects]


def area(polygon: dict[str, Any]) -> float:
    return cv2.contourArea(np.array([(point["x"], point["y"]) for point in polygon["points"]], np.float32))
