"""The results for the viewer: in the answer while they are small, as anno2 otherwise, class by class, and a text."""

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
ROOM_BYTES = 250_000
BOTH = ("outlines", "centres")

TWO = findings(square(100, 100, 20), square(300, 400, 10), area_um2=(31.25,))
WITH_HOLE = findings(square(100, 100, 20), square(105, 105, 8), square(300, 400, 10), parent=[-1, 0, -1])
TINY = findings(square(5, 5, 1), square(9, 9, 1))  # simplification leaves nothing of these


class Server:
    """Takes anno2 zips. uploaded: what they hold, by the id of the upload."""

    def __init__(self):
        self.uploaded = {}

    def upload(self, anno2):
        uuid = f"uuid-{len(self.uploaded)}"
        self.uploaded[uuid] = decode(anno2)
        return uuid


def answer(*regions, shows=BOTH, room=ROOM_BYTES, analyzer=NUCLEI, notes=()):
    server = Server()
    parameters = analyzer.parameters()
    return results(SLIDE, analyzer, parameters, regions, shows, room, server.upload, notes), server.uploaded


def types(*regions, **options):
    return [result.type for result in answer(*regions, **options)[0]]


def test_few_outlines_and_centres_are_in_the_answer_itself():
    (polygons, points, text), uploaded = answer(TWO)
    assert not uploaded
    assert msgspec.to_builtins(text).keys() == {"type", "name", "value"}  # no empty colour
    assert (polygons.type, points.type, text.type) == ("polygons", "points", "text")
    assert polygons.value[0] == {"type": "polygon", "points": [{"x": x, "y": y} for x, y in square(100, 100, 20)]}
    assert points.value == [{"x": 110, "y": 110}, {"x": 305, "y": 405}]
    assert (polygons.name, points.name) == ("Nuclei", "Nuclei: centres")
    assert polygons.color == points.color == COLOR


def test_only_the_chosen_results_stand_beside_the_text():
    assert types(TWO, shows=("outlines",)) == ["polygons", "text"]
    assert types(TWO, shows=("centres",)) == ["points", "text"]
    assert types(TWO, shows=()) == ["text"]


def test_without_objects_the_answer_is_a_text_only():
    assert types(findings(area_um2=(0.0,))) == ["text"]


def test_outlines_of_several_regions_are_shown_together():
    (polygons, points, _), _ = answer(TWO, findings(square(900, 900, 4)))
    assert len(polygons.value) == len(points.value) == 3


def test_an_outline_without_area_after_simplification_is_left_out():
    (polygons, *_), _ = answer(findings(square(5, 5, 1), square(100, 100, 20)))
    assert [len(polygon["points"]) for polygon in polygons.value] == [4]


@pytest.mark.parametrize("room", [ROOM_BYTES, 0])
def test_only_centres_are_shown_when_no_outline_has_area_after_simplification(room):
    shown, uploaded = answer(TINY, room=room)
    assert [result.name for result in shown] == ["Nuclei: centres", "Nuclei"]
    assert len(uploaded) == (room == 0)


def test_the_text_does_not_mention_anno2_when_there_is_none():
    (text,), _ = answer(TINY, shows=("outlines",))
    assert "anno2" not in text.value


def test_the_text_ends_with_the_notes():
    text = answer(TWO, notes=["One note.", "And another."])[0][-1].value
    assert text.startswith("Nuclei: 2 found")
    assert text.endswith(" One note. And another.")


# anno2


def test_outlines_with_holes_are_anno2_and_their_centres_are_not():
    (outlines, centres, text), uploaded = answer(WITH_HOLE)
    assert (outlines.type, centres.type) == ("anno2", "points")
    assert uploaded[outlines.value].negatives == {0: [1]}
    assert len(uploaded[outlines.value].outlines) == 3
    assert len(centres.value) == 2
    assert "Results that are large or have holes are shown as anno2." in text.value


def test_holes_do_not_count_for_a_centre():
    (centres, _), _ = answer(findings(square(0, 0, 100), square(10, 10, 60), parent=[-1, 0]), shows=("centres",))
    expected = round((50 * 10_000 - 40 * 3_600) / 6_400)
    assert centres.value == [{"x": expected, "y": expected}]


@pytest.mark.parametrize("room", [ROOM_BYTES, 0])
def test_the_centre_of_an_outline_that_crosses_itself_is_on_the_slide(room):
    bow_tie = [(0, 0), (100, 100), (100, 0), (0, 101)]  # its halves nearly cancel out
    (centres, _), uploaded = answer(findings(bow_tie), shows=("centres",), room=room)
    (centre,) = uploaded[centres.value].points.tolist() if uploaded else [list(centres.value[0].values())]
    assert 0 in centre or 8_000 in centre


def test_results_beyond_the_limit_are_anno2():
    shown, uploaded = answer(TWO, room=0)
    assert [result.type for result in shown] == ["anno2", "anno2", "text"]
    outlines, centres = (uploaded[result.value] for result in shown[:2])
    assert [outline.tolist() for outline in outlines.outlines] == [
        [list(vertex) for vertex in square(100, 100, 20)],
        [list(vertex) for vertex in square(300, 400, 10)],
    ]
    assert centres.points.tolist() == [[110, 110], [305, 405]]
    assert [result.color for result in shown] == [COLOR, COLOR, None]
    assert [anno2.metadata for anno2 in uploaded.values()] == [
        {"analysis": "nuclei", "title": "Nuclei"},
        {"analysis": "nuclei", "title": "Nuclei: centres"},
    ]


def test_the_limit_is_the_size_of_the_json_of_all_results_together():
    (polygons, points, _), _ = answer(TWO)
    sizes = [len(msgspec.json.encode(result.value)) for result in (polygons, points)]
    for size, kind, shows in zip(sizes, ("polygons", "points"), BOTH, strict=True):
        assert types(TWO, shows=(shows,), room=size) == [kind, "text"]
        assert types(TWO, shows=(shows,), room=size - 1) == ["anno2", "text"]
    assert types(TWO, room=sum(sizes)) == ["polygons", "points", "text"]
    assert types(TWO, room=sum(sizes) - 1) == ["polygons", "anno2", "text"]


def test_large_outlines_are_judged_by_their_simplified_json():
    wavy = [(x, 100 + x % 2) for x in range(100, 1000)]
    outline = findings([*wavy, (1000, 200), (100, 200)])
    (polygons, _), _ = answer(outline, shows=("outlines",), room=200)
    assert len(polygons.value[0]["points"]) <= 6
    zigzag = [(x, 100 + x % 2 * 50) for x in range(100, 1000)]
    assert types(findings([*zigzag, (1000, 300), (100, 300)]), shows=("outlines",), room=200) == ["anno2", "text"]


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


def test_a_class_of_several_regions_is_one_result_and_a_class_without_objects_is_none():
    negative = findings(square(300, 400, 10), classes=[2], area_um2=(0.0, 20.0))
    (centres, text), _ = answer(negative, negative, analyzer=Cells(), shows=("centres",))
    assert (centres.name, text.name) == ("Cells: negative cells, centres", "Cells")
    assert len(centres.value) == 2


# Maps


class WithMap(Cells):
    map = DensityMap(x=640, y=320, cell_px=64, levels=np.array([[0, 100], [255, 3], [7, 8]], np.uint8), per_mm2=1234.5)


def test_the_map_is_a_heatmap_before_all_other_results():
    shown, uploaded = answer(MIXED, analyzer=WithMap())
    assert len(shown) == 6
    assert (shown[0].type, shown[0].name, shown[0].color) == ("anno2", "Cells: map", "Turbo")
    anno2 = uploaded[shown[0].value]
    assert anno2.metadata == {"analysis": "cells", "title": "Cells: map", "per_mm2": 1234.5}
    assert (anno2.heatmap.x, anno2.heatmap.y, anno2.heatmap.cell_px) == (640, 320, 64)
    assert anno2.heatmap.levels.tolist() == [[0, 100], [255, 3], [7, 8]]


def test_the_map_is_shown_whatever_else_is_chosen_or_found():
    (_, text), _ = answer(MIXED, analyzer=WithMap(), shows=())
    assert "anno2" not in text.value
    assert types(findings(area_um2=(0.0, 0.0)), analyzer=WithMap()) == ["anno2", "text"]
