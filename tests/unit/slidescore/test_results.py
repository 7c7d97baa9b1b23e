"""What the viewer is shown: inline while small, anno2 beyond, class by class, and a text that says what there is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from findings import SLIDE, Cells, findings, square

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.density import DensityMap
from annohooks.slidescore.results import results
from local.anno2 import decode

NUCLEI = ANALYZERS["nuclei"]
COLOR = NUCLEI.classes[0].color
ROOM = 250_000
BOTH = ("outlines", "centres")

SOME = findings(square(100, 100, 20), square(300, 400, 10), area_um2=(31.25,))
WITH_HOLE = findings(square(100, 100, 20), square(105, 105, 8), square(300, 400, 10), parent=[-1, 0, -1])
NOTHING = findings(area_um2=(0.0,))


class Server:
    """Takes anno2 zips, and keeps them by the id it gives."""

    def __init__(self):
        self.uploaded = {}

    def upload(self, anno2):
        uuid = f"uuid-{len(self.uploaded)}"
        self.uploaded[uuid] = decode(anno2)
        return uuid


def answer(*found, shows=BOTH, room=ROOM, analyzer=NUCLEI, notes=()):
    server = Server()
    parameters = analyzer.parameters()
    return results(SLIDE, analyzer, parameters, found, shows, room, server.upload, notes), server.uploaded


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
    assert polygons.color == points.color == COLOR


def test_json_of_an_answer_has_what_the_viewer_reads_and_no_empty_colour():
    encoded = msgspec.json.decode(msgspec.json.encode(answer(SOME)[0]))
    assert [sorted(result) for result in encoded] == [
        ["color", "name", "type", "value"],
        ["color", "name", "type", "value"],
        ["name", "type", "value"],
    ]


@pytest.mark.parametrize(
    ("shows", "expected"),
    [
        (("outlines",), ["polygons", "text"]),
        (("centres",), ["points", "text"]),
        (BOTH, ["polygons", "points", "text"]),
        ((), ["text"]),
    ],
)
def test_only_what_was_asked_for_is_shown_beside_the_text(shows, expected):
    assert types(answer(SOME, shows=shows)[0]) == expected


@pytest.mark.parametrize("shows", [BOTH, ("outlines",), ()])
def test_nothing_found_is_a_text_alone(shows):
    shown, uploaded = answer(NOTHING, shows=shows)
    assert types(shown) == ["text"]
    assert not uploaded


def test_outlines_of_several_regions_are_shown_together():
    shown, _ = answer(SOME, findings(square(900, 900, 4)))
    assert len(shown[0].value) == len(shown[1].value) == 3


def test_outlines_in_the_answer_are_simplified_to_a_pixel():
    along = [(x, 100 + x % 2) for x in range(100, 200)]
    shown, _ = answer(findings([*along, (200, 200), (100, 200)]))
    assert len(shown[0].value[0]["points"]) <= 6


def test_outline_that_vanishes_when_simplified_is_left_out_of_the_answer():
    shown, _ = answer(findings(square(5, 5, 1), square(100, 100, 20)))
    assert [len(polygon["points"]) for polygon in shown[0].value] == [4]


@pytest.mark.parametrize("room", [ROOM, 0])
def test_outlines_that_all_vanish_when_simplified_are_not_shown_and_their_centres_are(room):
    shown, uploaded = answer(findings(square(5, 5, 1), square(9, 9, 1)), room=room)
    assert [result.name for result in shown] == ["Nuclei: centres", "Nuclei"]
    assert len(uploaded) == (room == 0)


def test_outlines_alone_that_all_vanish_leave_a_text_that_speaks_of_no_anno2():
    shown, uploaded = answer(findings(square(5, 5, 1), square(9, 9, 1)), shows=("outlines",))
    assert types(shown) == ["text"]
    assert "anno2" not in shown[0].value
    assert not uploaded


def test_the_text_ends_with_the_notes():
    said = answer(SOME, notes=["Chosen: stain H-DAB.", "And more."])[0][-1].value
    assert said.startswith("Nuclei: 2 found")
    assert said.endswith(" Chosen: stain H-DAB. And more.")


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
    shown, _ = answer(findings(square(0, 0, 100), square(10, 10, 60), parent=[-1, 0]), shows=("centres",))
    left = (50 * 10_000 - 40 * 3_600) / 6_400
    assert shown[0].value == [{"x": round(left), "y": round(left)}]


@pytest.mark.parametrize("room", [ROOM, 0])
def test_centre_of_an_outline_across_itself_is_on_the_slide_too(room):
    bow_tie = [(0, 0), (100, 100), (100, 0), (0, 101)]  # its halves all but cancel out
    shown, uploaded = answer(findings(bow_tie), shows=("centres",), room=room)
    (centre,) = uploaded[shown[0].value].points.tolist() if uploaded else [list(shown[0].value[0].values())]
    assert 0 in centre or 8_000 in centre


def test_what_takes_more_than_the_limit_is_anno2():
    shown, uploaded = answer(SOME, room=0)
    assert types(shown) == ["anno2", "anno2", "text"]
    outlines, centres = (uploaded[result.value] for result in shown[:2])
    assert [outline.tolist() for outline in outlines.outlines] == [
        [list(vertex) for vertex in square(100, 100, 20)],
        [list(vertex) for vertex in square(300, 400, 10)],
    ]
    assert centres.points.tolist() == [[110, 110], [305, 405]]
    assert [result.color for result in shown] == [COLOR, COLOR, None]


def test_limit_is_what_the_json_takes_to_the_byte():
    (polygons, points, _), _ = answer(SOME)
    for result, shows in ((polygons, ("outlines",)), (points, ("centres",))):
        size = len(msgspec.json.encode(result.value))
        assert types(answer(SOME, shows=shows, room=size)[0]) == [result.type, "text"]
        assert types(answer(SOME, shows=shows, room=size - 1)[0]) == ["anno2", "text"]


def test_limit_is_for_all_results_together():
    (polygons, points, _), _ = answer(SOME)
    size = sum(len(msgspec.json.encode(result.value)) for result in (polygons, points))
    assert types(answer(SOME, room=size)[0]) == ["polygons", "points", "text"]
    assert types(answer(SOME, room=size - 1)[0]) == ["polygons", "anno2", "text"]


def test_small_json_is_never_taken_for_a_large_one():
    dots = findings(*[[(x % 10, x // 10), (9, 9), (0, 9)] for x in range(90)])
    (_, points, _), _ = answer(dots)
    size = len(msgspec.json.encode(points.value))
    assert types(answer(dots, shows=("centres",), room=size)[0])[0] == "points"


def test_anno2_says_which_analysis_it_comes_from():
    _, uploaded = answer(WITH_HOLE, room=0)
    assert [anno2.metadata for anno2 in uploaded.values()] == [
        {"analysis": "nuclei", "title": "Nuclei"},
        {"analysis": "nuclei", "title": "Nuclei: centres"},
    ]


def test_upload_that_fails_fails_the_answer():
    def broken(_):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        results(SLIDE, NUCLEI, NUCLEI.parameters(), [WITH_HOLE], BOTH, ROOM, broken)


# Classes

MIXED = findings(
    square(100, 100, 20),
    square(300, 400, 10),
    square(105, 105, 8),
    square(500, 500, 30),
    parent=[-1, -1, 0, -1],
    classes=[1, 2, 1, 2],
    area_um2=(20.0, 60.0),
)


def test_each_class_has_results_of_its_own_name_and_colour():
    shown, uploaded = answer(MIXED, analyzer=Cells())
    assert [(result.type, result.name, result.color) for result in shown] == [
        ("anno2", "Cells: positive cells", "#AA0000"),
        ("points", "Cells: positive cells, centres", "#AA0000"),
        ("polygons", "Cells: negative cells", "#0000AA"),
        ("points", "Cells: negative cells, centres", "#0000AA"),
        ("text", "Cells", None),
    ]
    positive = uploaded[shown[0].value]
    assert [int(np.ptp(outline[:, 0])) for outline in positive.outlines] == [20, 8]
    assert positive.negatives == {0: [1]}
    assert shown[1].value == [{"x": 110, "y": 110}]
    assert [polygon["points"][0]["x"] for polygon in shown[2].value] == [300, 500]
    assert shown[3].value == [{"x": 305, "y": 405}, {"x": 515, "y": 515}]


def test_classes_of_several_regions_come_together():
    other = findings(square(900, 900, 10), square(950, 950, 10), classes=[2, 1], area_um2=(1.0, 1.0))
    shown, _ = answer(MIXED, other, analyzer=Cells(), shows=("centres",))
    assert [len(result.value) for result in shown[:2]] == [2, 3]


def test_class_that_was_not_found_shows_nothing():
    only = findings(square(300, 400, 10), classes=[2], area_um2=(0.0, 20.0))
    shown, _ = answer(only, analyzer=Cells(), shows=("centres",))
    assert [(result.type, result.name) for result in shown] == [
        ("points", "Cells: negative cells, centres"),
        ("text", "Cells"),
    ]


# Maps


class WithMap(Cells):
    map = DensityMap(x=640, y=320, cell_px=64, levels=np.array([[0, 100], [255, 3], [7, 8]], np.uint8), per_mm2=1234.5)


@pytest.mark.parametrize("shows", [BOTH, ("centres",), ()])
def test_map_is_a_heatmap_before_all_else_whatever_else_is_shown(shows):
    shown, uploaded = answer(MIXED, analyzer=WithMap(), shows=shows)
    assert len(shown) == 2 + 2 * len(shows)
    assert (shown[0].type, shown[0].name, shown[0].color) == ("anno2", "Cells: map", "Turbo")
    anno2 = uploaded[shown[0].value]
    assert anno2.metadata == {"analysis": "cells", "title": "Cells: map", "per_mm2": 1234.5}
    assert (anno2.heatmap.x, anno2.heatmap.y, anno2.heatmap.cell_px) == (640, 320, 64)
    assert anno2.heatmap.levels.tolist() == [[0, 100], [255, 3], [7, 8]]


def test_map_alone_is_not_explained_as_too_much_for_the_answer():
    assert "anno2" not in answer(MIXED, analyzer=WithMap(), shows=())[0][-1].value


def test_map_is_shown_of_regions_where_nothing_was_found_when_there_is_one():
    nothing = findings(area_um2=(0.0, 0.0))
    assert types(answer(nothing, analyzer=WithMap())[0]) == ["anno2", "text"]
