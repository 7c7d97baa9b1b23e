"""Screenshots of servers with different level numbers, and raw tiles, give the same outlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from triggers import REGION, rect, trigger_body

from local import slides
from local.demo import slidescore as demo
from local.simulators.slidescore import SlideScore, Viewed

Start = Callable[..., Any]
LARGE = rect(0, 0, 2050, 650)
"""A region of the mosaic that needs more than one picture of 2000 px."""


@pytest.fixture(scope="module")
def studio() -> dict[int, slides.Slide]:
    return {1: slides.immunohistochemistry(), 2: slides.mosaic(2100, 700)}


@pytest.fixture(params=[-1, 2, *(pytest.param(offset, marks=pytest.mark.thorough) for offset in (0, 1))])
def another_server(request: pytest.FixtureRequest, studio: dict[int, slides.Slide]) -> Iterator[SlideScore]:
    with SlideScore(studio, level_offset=request.param) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def usual_server(studio: dict[int, slides.Slide]) -> Iterator[SlideScore]:
    with SlideScore(studio) as server:
        yield server
    assert server.violations == []


def shown(viewed: Viewed, server: SlideScore) -> list[demo.Drawing]:
    assert (viewed.status, viewed.problems) == (200, [])
    return [demo.drawn(result, server.annos) for result in viewed.results if result["type"] != "text"]


def assert_same(one: list[demo.Drawing], other: list[demo.Drawing]) -> None:
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.points, second.points)
        assert first.holes == second.holes
        assert len(first.rings) == len(second.rings) > 0
        for ring, same in zip(first.rings, second.rings, strict=True):
            np.testing.assert_array_equal(ring, same)


def reads(server: SlideScore, endpoint: str = "GetScreenshot") -> int:
    return sum(call.path == f"/Api/{endpoint}" for call in server.calls)


@pytest.mark.parametrize("analysis", ["Dark regions", pytest.param("Nuclei", marks=pytest.mark.thorough)])
class TestAnyLevelNumberOfFullResolution:
    @pytest.mark.parametrize(
        ("shapes", "slide"),
        [
            pytest.param([REGION], 1, id="one picture"),
            pytest.param([LARGE], 2, id="several pictures"),
            pytest.param([rect(5, 5, 0.5, 0.5), REGION], 1, id="first a region smaller than a pixel"),
        ],
    )
    def test_gives_the_same_outlines_with_at_most_one_more_picture(
        self,
        bundle: Start,
        usual_server: SlideScore,
        another_server: SlideScore,
        analysis: str,
        shapes: list[dict[str, Any]],
        slide: int,
    ) -> None:
        body = trigger_body(*shapes, answered={"Analysis": analysis}, imageid=slide)
        expected = shown(bundle(usual_server).trigger(body), usual_server)
        assert_same(shown(bundle(another_server).trigger(body), another_server), expected)
        assert reads(another_server) <= reads(usual_server) + 1


def covered(drawings: list[demo.Drawing]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A mask of slide 1, with the pixels that the outlines of the first drawing cover."""
    mask = np.zeros((512, 512), np.uint8)
    drawing = drawings[0]
    for index, ring in enumerate(drawing.rings):
        cv2.fillPoly(mask, [ring.astype(np.int32)], 0 if index in drawing.holes else 1)
    return mask


class TestRawTiles:
    @pytest.mark.parametrize(("analysis", "overlap"), [("Nuclei", 0.8), ("Dark regions", 0.95)])
    def test_give_the_same_as_screenshots_but_for_the_jpeg(
        self, bundle: Start, usual_server: SlideScore, analysis: str, overlap: float
    ) -> None:
        body = trigger_body(answered={"Analysis": analysis})
        by_screenshots = shown(bundle(usual_server).trigger(body), usual_server)
        assert reads(usual_server, "GetRawTile") == 0
        by_tiles = shown(bundle(usual_server, SLIDESCORE_PIXELS="raw_tiles").trigger(body), usual_server)
        assert (reads(usual_server), reads(usual_server, "GetRawTile")) == (1, 1)
        one, other = covered(by_screenshots), covered(by_tiles)
        assert (one & other).sum() > overlap * (one | other).sum()
        assert int(other.sum()) == pytest.approx(int(one.sum()), rel=0.03)
        assert len(by_tiles[0].rings) == pytest.approx(len(by_screenshots[0].rings), rel=0.05, abs=1)

    def test_of_a_large_region_give_the_same_as_screenshots(self, bundle: Start, usual_server: SlideScore) -> None:
        body = trigger_body(LARGE, imageid=2)
        by_screenshots = shown(bundle(usual_server).trigger(body), usual_server)
        by_tiles = shown(bundle(usual_server, SLIDESCORE_PIXELS="raw_tiles").trigger(body), usual_server)
        assert by_tiles[0].area() == pytest.approx(by_screenshots[0].area(), rel=0.02)
        assert len(by_tiles[0].rings) == pytest.approx(len(by_screenshots[0].rings), rel=0.02)

    def test_need_the_study_and_screenshots_do_not(self, bundle: Start, usual_server: SlideScore) -> None:
        viewed = bundle(usual_server, SLIDESCORE_PIXELS="raw_tiles").trigger(trigger_body(studyid=...))
        assert (viewed.status, viewed.text) == (400, "The request body cannot be used: the key `studyid` is missing.")
        assert reads(usual_server, "GetRawTile") == 0
        assert shown(bundle(usual_server).trigger(trigger_body(studyid=...)), usual_server)
