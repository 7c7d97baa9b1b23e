"""What the viewer is shown: inline while small, anno2 beyond, and a text that says what there is."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.outlines import Outlines
from annohooks.imaging.segmentation import Findings
from annohooks.slidescore.results import Limits, Result, Show, results
from local.anno2 import decode

NUCLEI = ANALYZERS["nuclei"]
SLIDE = SimpleNamespace(width=10_000, height=8_000, mpp=0.25)
GENEROUS = Limits(inline_bytes=250_000, outlines=1000)


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def findings(*rings, parent=None, area_um2=80.0, region_um2=1000.0, downsample=2):
    return Findings(Outlines.from_rings(rings, parent), area_um2, region_um2, downsample)


SOME = findings(square(100, 100, 20), square(300, 400, 10), area_um2=31.25)
WITH_HOLE = findings(square(100, 100, 20), square(105, 105, 8), square(300, 400, 10), parent=[-1, 0, -1])
NOTHING = findings(area_um2=0.0)


class Server:
    """Takes anno2 zips, and keeps them by the id it gives."""

    def __init__(self):
        self.uploaded = {}

    def upload(self, anno2):
        uuid = f"uuid-{len(self.uploaded)}"
        self.uploaded[uuid] = decode(anno2)
        return uuid


def answer(*found, show=Show.BOTH, limits=GENEROUS, slide=SLIDE):
    server = Server()
    return results(slide, NUCLEI, found, show, limits, server.upload), server.uploaded


def types(shown):
    return [result.type for result in shown]


def test_few_outlines_and_centres_are_in_the_answer_itself():
    shown, uploaded = answer(SOME)
    assert types(shown) == ["polygons", "points", "text"]
    assert not uploaded
    polygons, points, _ = shown
    assert polygons.value[0] == {"type": "polygon", "points": [{"x": x, "y": y} for x, y in square(100, 100, 20)]}
    assert points.value == [{"x": 110, "y": 110}, {"x": 305, "y": 405}]
    assert (polygons.name, points.name) == ("Nuclei", "Nuclei: centres")
    assert polygons.color == points.color == NUCLEI.color


def test_json_of_an_answer_has_what_the_viewer_reads_and_no_empty_colour():
    encoded = msgspec.json.decode(msgspec.json.encode(answer(SOME)[0]))
    assert [sorted(result) for result in encoded] == [
        ["color", "name", "type", "value"],
        ["color", "name", "type", "value"],
        ["name", "type", "value"],
    ]


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        (Show.OUTLINES, ["polygons", "text"]),
        (Show.CENTRES, ["points", "text"]),
        (Show.BOTH, ["polygons", "points", "text"]),
    ],
)
def test_only_what_was_asked_for_is_shown_beside_the_text(show, expected):
    assert types(answer(SOME, show=show)[0]) == expected


def test_outlines_of_several_regions_are_shown_together():
    shown, _ = answer(SOME, findings(square(900, 900, 4)))
    assert len(shown[0].value) == len(shown[1].value) == 3
    assert "3 found" in shown[-1].value
    assert "of 2 regions" in shown[-1].value


def test_outlines_in_the_answer_are_simplified_to_a_pixel():
    along = [(x, 100 + x % 2) for x in range(100, 200)]
    shown, _ = answer(findings([*along, (200, 200), (100, 200)]))
    assert len(shown[0].value[0]["points"]) <= 6


def test_outline_that_vanishes_when_simplified_is_left_out_of_the_answer():
    shown, _ = answer(findings(square(5, 5, 1), square(100, 100, 20)))
    assert [len(polygon["points"]) for polygon in shown[0].value] == [4]


# anno2


def test_outlines_with_holes_are_anno2_however_few_and_their_centres_are_not():
    shown, uploaded = answer(WITH_HOLE)
    assert types(shown) == ["anno2", "points", "text"]
    anno2 = uploaded[shown[0].value]
    assert anno2.negatives == {0: [1]}
    assert len(anno2.outlines) == 3
    assert len(shown[1].value) == 2
    assert "has holes, is shown as anno2 only" in shown[-1].value


def test_centres_are_those_of_what_holes_leave():
    shown, _ = answer(findings(square(0, 0, 100), square(10, 10, 60), parent=[-1, 0]), show=Show.CENTRES)
    left = (50 * 10_000 - 40 * 3_600) / 6_400
    assert shown[0].value == [{"x": round(left), "y": round(left)}]


def test_what_takes_more_than_the_limit_is_anno2():
    shown, uploaded = answer(SOME, limits=Limits(0, 1000))
    assert types(shown) == ["anno2", "anno2", "text"]
    outlines, centres = (uploaded[result.value] for result in shown[:2])
    assert [outline.tolist() for outline in outlines.outlines] == [
        [list(vertex) for vertex in square(100, 100, 20)],
        [list(vertex) for vertex in square(300, 400, 10)],
    ]
    assert centres.points.tolist() == [[110, 110], [305, 405]]
    assert [result.color for result in shown] == [NUCLEI.color, NUCLEI.color, None]


def test_limit_is_what_the_json_takes_to_the_byte():
    (polygons, points, _), _ = answer(SOME)
    for result, show in ((polygons, Show.OUTLINES), (points, Show.CENTRES)):
        size = len(msgspec.json.encode(result.value))
        assert types(answer(SOME, show=show, limits=Limits(size, 1000))[0]) == [result.type, "text"]
        assert types(answer(SOME, show=show, limits=Limits(size - 1, 1000))[0]) == ["anno2", "text"]


def test_small_json_is_never_taken_for_a_large_one():
    dots = findings(*[[(x % 10, x // 10), (9, 9), (0, 9)] for x in range(90)])
    (_, points, _), _ = answer(dots)
    size = len(msgspec.json.encode(points.value))
    assert types(answer(dots, show=Show.CENTRES, limits=Limits(size, 1000))[0])[0] == "points"


def test_anno2_says_which_analysis_it_comes_from():
    _, uploaded = answer(WITH_HOLE)
    assert uploaded["uuid-0"].metadata == {"analysis": "nuclei", "title": "Nuclei"}


def test_upload_that_fails_fails_the_answer():
    def broken(_):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        results(SLIDE, NUCLEI, [WITH_HOLE], Show.BOTH, GENEROUS, broken)


# More than the viewer can take


def test_of_more_outlines_than_the_viewer_can_take_the_largest_are_shown_as_anno2_with_their_holes():
    sides = [30, 5, 50, 8, 40]
    rings = [square(100 * i, 100, side) for i, side in enumerate(sides)]
    found = findings(*rings, square(205, 105, 3), square(101, 101, 2), parent=[-1] * 5 + [2, 1])
    shown, uploaded = answer(found, limits=Limits(250_000, 3))
    assert types(shown) == ["anno2", "anno2", "text"]
    kept = uploaded[shown[0].value]
    assert [int(np.ptp(outline[:, 0])) for outline in kept.outlines] == [30, 50, 40, 3]
    assert kept.negatives == {1: [3]}
    assert len(uploaded[shown[1].value].points) == 3
    assert "5 found" in shown[-1].value
    assert "The viewer can take 3 outlines: the largest are shown." in shown[-1].value


def test_as_many_outlines_as_the_viewer_can_take_are_all_shown():
    shown, _ = answer(SOME, limits=Limits(250_000, 2))
    assert types(shown) == ["polygons", "points", "text"]
    assert "largest" not in shown[-1].value


# The text


def text(*found, **options):
    return answer(*found, **options)[0][-1]


def test_text_sums_up_number_area_and_share():
    assert text(SOME) == Result(
        "text",
        "Nuclei",
        "Nuclei: 2 found, 31 um2 together, 15.6 um2 on average; 3.1 % of the region (1,000 um2). "
        "Analysed at 0.5 um per pixel.",
    )


@pytest.mark.parametrize("show", Show)
def test_nothing_found_is_a_text_alone(show):
    shown, uploaded = answer(NOTHING, show=show)
    assert types(shown) == ["text"]
    assert not uploaded
    assert shown[0].value.startswith("Nuclei: nothing found in the region (1,000 um2).")


def test_regions_are_summed_up_together_and_the_coarsest_resolution_is_named():
    said = text(SOME, NOTHING, findings(square(1, 1, 9), area_um2=68.75, region_um2=2000.0, downsample=8)).value
    assert "3 found, 100 um2 together, 33.3 um2 on average; 2.5 % of 3 regions (4,000 um2)." in said
    assert "Analysed at 2 um per pixel." in said


def test_region_without_a_pixel_has_no_share():
    assert "0.0 % of the region (0 um2)" in text(findings(square(1, 1, 9), region_um2=0.0)).value


def test_assumed_pixel_size_is_admitted():
    said = text(SOME, slide=SimpleNamespace(width=10_000, height=8_000, mpp=None)).value
    assert said.endswith("The slide does not say how large its pixels are: 0.25 um assumed.")
    assert "assumed" not in text(SOME).value
