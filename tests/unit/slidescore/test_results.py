"""The results for the viewer: in the answer while they are small, as anno2 otherwise, class by class, and a text."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from findings import SLIDE, Cells, findings, square

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.density import DensityMap
from annohooks.slidescore.results import results
from annohooks.slidescore.summary import summary
from local.anno2 import decode

NUCLEI = ANALYZERS["nuclei"]
ROOM_BYTES = 250_000
BOTH = ("outlines", "centres")

TWO = findings(square(100, 100, 20), square(300, 400, 10), area_um2=(31.25,))
TINY = findings(square(5, 5, 1), square(9, 9, 1))  # simplification leaves nothing of these


def answer(*regions, shows=BOTH, room=ROOM_BYTES, analyzer=NUCLEI, notes=()):
    uploaded = {}

    def upload(anno2):
        uuid = f"uuid-{len(uploaded)}"
        uploaded[uuid] = decode(anno2)
        return uuid

    return results(SLIDE, analyzer, analyzer.parameters(), regions, shows, room, upload, notes), uploaded


def types(*regions, **options):
    return [result.type for result in answer(*regions, **options)[0]]


def test_few_outlines_and_centres_are_in_the_answer_itself():
    (polygons, points, text), uploaded = answer(TWO, notes=["One note.", "And another."])
    assert not uploaded
    assert msgspec.to_builtins(text).keys() == {"type", "name", "value"}  # no empty colour
    assert (polygons.type, points.type, text.type) == ("polygons", "points", "text")
    assert polygons.value[0] == {"type": "polygon", "points": [{"x": x, "y": y} for x, y in square(100, 100, 20)]}
    assert points.value == [{"x": 110, "y": 110}, {"x": 305, "y": 405}]
    assert (polygons.name, points.name) == ("Nuclei", "Nuclei: centres")
    assert polygons.color == points.color == NUCLEI.classes[0].color
    assert text.value.startswith("Nuclei: 2 found")
    assert text.value.endswith(" One note. And another.")


@pytest.mark.parametrize(
    ("regions", "shows", "expected"),
    [
        ([TWO], ("outlines",), ["polygons", "text"]),
        ([TWO], ("centres",), ["points", "text"]),
        ([TWO], (), ["text"]),
        ([findings(area_um2=(0.0,))], BOTH, ["text"]),
    ],
)
def test_only_the_chosen_results_of_found_objects_stand_beside_the_text(regions, shows, expected):
    assert types(*regions, shows=shows) == expected


def test_an_outline_without_area_after_simplification_is_left_out_and_its_centre_is_not():
    (polygons, points, _), _ = answer(TINY, TWO)
    assert [len(polygon["points"]) for polygon in polygons.value] == [4, 4]
    assert len(points.value) == 4


@pytest.mark.parametrize("room", [ROOM_BYTES, 0])
def test_only_centres_are_shown_when_no_outline_has_area_after_simplification(room):
    shown, uploaded = answer(TINY, room=room)
    assert [result.name for result in shown] == ["Nuclei: centres", "Nuclei"]
    assert len(uploaded) == (room == 0)
    assert "anno2" not in answer(TINY, shows=("outlines",))[0][-1].value


# anno2


def test_outlines_with_holes_are_anno2_and_their_centres_are_not():
    with_hole = findings(square(100, 100, 20), square(105, 105, 8), square(300, 400, 10), parent=[-1, 0, -1])
    (outlines, centres, text), uploaded = answer(with_hole)
    assert (outlines.type, centres.type, len(centres.value)) == ("anno2", "points", 2)
    assert uploaded[outlines.value].negatives == {0: [1]}
    assert len(uploaded[outlines.value].outlines) == 3
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
    color = NUCLEI.classes[0].color
    assert [(result.type, result.color) for result in shown] == [("anno2", color), ("anno2", color), ("text", None)]
    outlines, centres = (uploaded[result.value] for result in shown[:2])
    assert [list(map(tuple, outline.tolist())) for outline in outlines.outlines] == [
        square(100, 100, 20),
        square(300, 400, 10),
    ]
    assert centres.points.tolist() == [[110, 110], [305, 405]]
    assert outlines.metadata == {"analysis": "nuclei", "title": "Nuclei"}
    assert centres.metadata == {"analysis": "nuclei", "title": "Nuclei: centres"}


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

SQUARES = square(100, 100, 20), square(300, 400, 10), square(105, 105, 8), square(500, 500, 30)
MIXED = findings(*SQUARES, parent=[-1, -1, 0, -1], classes=[1, 2, 1, 2], area_um2=(20.0, 60.0))


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
    assert (centres.name, text.name, len(centres.value)) == ("Cells: negative cells, centres", "Cells", 2)


# Maps


class WithMap(Cells):
    map = DensityMap(x=640, y=320, cell_px=64, levels=np.array([[0, 100], [255, 3], [7, 8]], np.uint8), per_mm2=1234.5)


def test_the_map_is_a_heatmap_before_all_other_results_whatever_else_is_chosen_or_found():
    shown, uploaded = answer(MIXED, analyzer=WithMap())
    assert len(shown) == 6
    assert (shown[0].type, shown[0].name, shown[0].color) == ("anno2", "Cells: map", "Turbo")
    anno2 = uploaded[shown[0].value]
    assert anno2.metadata == {"analysis": "cells", "title": "Cells: map", "per_mm2": 1234.5}
    assert (anno2.heatmap.x, anno2.heatmap.y, anno2.heatmap.cell_px) == (640, 320, 64)
    assert anno2.heatmap.levels.tolist() == [[0, 100], [255, 3], [7, 8]]
    (_, text), _ = answer(MIXED, analyzer=WithMap(), shows=())
    assert "anno2" not in text.value
    assert types(findings(area_um2=(0.0, 0.0)), analyzer=WithMap()) == ["anno2", "text"]


# The text


def text_of(*regions, analyzer=NUCLEI, is_mpp_known=True):
    sentence = analyzer.conclude(regions, analyzer.parameters()).sentence
    return summary(analyzer, sentence, regions, is_mpp_known=is_mpp_known)


def test_one_region_is_summed_up():
    assert text_of(TWO) == (
        "Nuclei: 2 found, 31 um2 together, 15.6 um2 on average; 3.1 % of the region (1,000 um2). "
        "Analysed at 0.5 um per pixel."
    )
    nothing = "Nuclei: nothing found in the region (1,000 um2). Analysed at 0.5 um per pixel."
    assert text_of(findings(area_um2=(0.0,))) == nothing
    assert "0.0 % of the region (0 um2)" in text_of(findings(square(1, 1, 9), region_um2=0.0))


def test_several_regions_are_summed_up_together_with_the_coarsest_resolution():
    coarse = findings(square(1, 1, 9), area_um2=(68.75,), region_um2=2000.0, downsample=8)
    summed_up = text_of(TWO, findings(area_um2=(0.0,)), coarse)
    assert "3 found, 100 um2 together, 33.3 um2 on average; 2.5 % of 3 regions (4,000 um2)." in summed_up
    assert "Analysed at 2 um per pixel." in summed_up


def test_large_areas_are_in_square_millimetres_and_large_numbers_in_groups():
    summed_up = text_of(findings(found=[12_345], area_um2=(250_000.0,), region_um2=99_999.0))
    assert "Nuclei: 12,345 found, 0.25 mm2 together, 20.3 um2 on average;" in summed_up
    assert "(99,999 um2)" in summed_up


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_an_assumed_pixel_size_is_stated(mpp):
    region, note = findings(square(1, 1, 9), slide_mpp=mpp), f"does not state its pixel size; {mpp} um is assumed."
    assert text_of(region, is_mpp_known=False).endswith(f"The slide {note}")
    assert "assumed" not in text_of(region)


def test_the_number_of_each_class_is_listed_before_the_analyzers_conclusion_if_there_are_several():
    class Concluding(Cells):
        sentence = "A tenth of them is positive."

    two_classes = {"area_um2": (90_000.0, 20.0), "region_um2": 400_000.0}
    assert text_of(findings(square(1, 1, 9), classes=[2], found=[1200, 1], **two_classes), analyzer=Concluding()) == (
        "Cells: 1,201 found, 90,020 um2 together, 75.0 um2 on average; 22.5 % of the region (0.40 mm2). "
        "Of these, 1,200 positive cells, 1 negative cells. A tenth of them is positive. Analysed at 0.5 um per pixel. "
        "Only the largest 1 are shown. Counted but not shown: 1,200."
    )
    assert "Of these" not in text_of(findings(area_um2=(0.0, 0.0)), analyzer=Cells())


def test_the_number_of_objects_that_are_not_shown_is_stated():
    one, two = findings(square(1, 1, 9), found=[1500]), findings(square(1, 1, 9), square(9, 9, 9), found=[3])
    summed_up = text_of(one, two)
    assert "1,503 found" in summed_up
    assert summed_up.endswith("Only the largest 3 are shown. Counted but not shown: 1,500.")
    assert "not shown" not in text_of(TWO)
