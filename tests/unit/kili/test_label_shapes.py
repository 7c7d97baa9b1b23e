"""The objects of a label: what every tool draws, in images, geospatial images, texts, PDFs and videos."""

from __future__ import annotations

import pytest
from cases import only_object, reading_of
from labels import (
    BEYOND_THE_SDK,
    HOLE,
    OUTER,
    RESPONSES,
    TRIANGLE,
    annotation,
    box,
    drawn_on_page,
    entity,
    line,
    marker,
    on_pages,
    outlines,
    polygon,
    pose,
    rectangle,
    semantic,
    tracked,
    vertices,
)

from annohooks.kili.label.model import Keypoint, Ring, Shape, Span
from annohooks.kili.label.reader import read
from annohooks.kili.label.shapes import LARGEST


def area(*rings: list[tuple[float, float]], **more) -> Shape:
    return Shape(rings=tuple(map(tuple, rings)), **more)


@pytest.mark.parametrize("name", RESPONSES)
def test_every_kind_of_label_is_read_without_a_fault(name):
    reading = read(RESPONSES[name])
    assert reading.faults == ()
    assert bool(reading.objects or reading.answers) == (name != "nothing")


# Tools


def test_rectangle_has_job_category_path_and_four_corners():
    obj = only_object(rectangle("m", "CAR", (0.25, 0.25, 0.5, 0.5)))
    assert (obj.job, obj.tool, obj.mid, obj.categories) == ("JOB_0", "rectangle", "m", ("CAR",))
    assert obj.path == "JOB_0.annotations[0]"
    assert obj.shapes == (area([(0.25, 0.75), (0.25, 0.25), (0.75, 0.25), (0.75, 0.75)]),)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (3, 1, 2, 0), (2, 0, 1, 3)])
@pytest.mark.parametrize("corners", [box(0.1, 0.2, 0.3, 0.4), [(0.5, 0.1), (0.8, 0.4), (0.7, 0.5), (0.4, 0.2)]])
def test_corners_of_a_rectangle_are_put_in_order_around_it(order, corners):
    def sides(ring: Ring) -> set[frozenset]:
        return {frozenset(side) for side in zip(ring, ring[1:] + ring[:1], strict=True)}

    obj = only_object(annotation("m", "CAR", boundingPoly=outlines([corners[i] for i in order]), type="rectangle"))
    (ring,) = obj.shapes[0].rings
    assert sides(ring) == sides(tuple(corners))


@pytest.mark.parametrize(
    ("drawn", "tool", "shapes"),
    [
        (polygon(ring=TRIANGLE), "polygon", [area(TRIANGLE)]),
        (polygon(ring=[*TRIANGLE, TRIANGLE[0]]), "polygon", [area(TRIANGLE)]),
        (polygon(ring=[(-5, 2), (1.5, -0.1), (LARGEST, 3)]), "polygon", [area([(-5, 2), (1.5, -0.1), (LARGEST, 3)])]),
        (
            annotation("m", "CAR", boundingPoly=outlines([*box(0, 0, 1, 1), (0, 1)]), type="rectangle"),
            "rectangle",
            [area(box(0, 0, 1, 1))],
        ),
        (rectangle(at=(0.1, 0.2, 0, 0.5)), "rectangle", [area(box(0.1, 0.2, 0, 0.5))]),
        (drawn_on_page("m", "CAR", 1, box(0, 0, 0, 0)), "rectangle", [area(box(0, 0, 0, 0), page=1)]),
        (semantic("m", "CAR", OUTER, HOLE), "semantic", [area(OUTER, HOLE)]),
        (line("m", "CAR", TRIANGLE), "polyline", [Shape(points=tuple(TRIANGLE))]),
        (line("m", "CAR", TRIANGLE, "vector"), "vector", [Shape(points=tuple(TRIANGLE))]),
        (marker("m", "CAR", (0, 1)), "marker", [Shape(points=((0.0, 1.0),))]),
        (annotation("m", "CAR", type="range"), "range", [Shape()]),
    ],
)
def test_each_tool_has_its_shapes(drawn, tool, shapes):
    obj = only_object(drawn)
    assert (obj.tool, obj.shapes) == (tool, tuple(shapes))
    points = [*obj.shapes[0].points, *(point for ring in obj.shapes[0].rings for point in ring)]
    assert all(type(number) is float for point in points for number in point)


@pytest.mark.parametrize("tool", ["pose", "marker"])
def test_pose_has_a_keypoint_for_every_placed_point(tool):
    drawn = pose("m", "FACE", {"NOSE": (0.5, 0.5), "LEFT_EYE": (0.4, 0.3)}) | {"type": tool}
    drawn["points"].append({"code": "RIGHT_EYE"})
    obj = only_object(drawn)
    assert obj.tool == "pose"
    assert obj.keypoints == (Keypoint("NOSE", (0.5, 0.5)), Keypoint("LEFT_EYE", (0.4, 0.3)))
    assert obj.shapes == (Shape(points=((0.5, 0.5), (0.4, 0.3))),)


@pytest.mark.parametrize(
    ("drawn", "tool"),
    [
        (rectangle(), "rectangle"),
        (polygon(), "polygon"),
        (semantic("m", "CAR", OUTER, HOLE), "semantic"),
        (line("m", "CAR", TRIANGLE), "polyline"),
        (marker(), "marker"),
        (pose("m", "FACE", {"NOSE": (0, 0)}), "pose"),
    ],
)
def test_tool_of_an_old_annotation_without_a_type_is_inferred(drawn, tool):
    del drawn["type"]
    assert only_object(drawn).tool == tool


@pytest.mark.parametrize("rings", [[OUTER], [OUTER, HOLE]])
def test_vertices_may_be_nested_in_one_more_list(rings):
    nested = [{"normalizedVertices": [vertices(ring) for ring in rings]}]
    assert only_object(annotation("m", "CAR", boundingPoly=nested, type="polygon")).shapes == (area(*rings),)


def test_geospatial_coordinates_stay_in_degrees_and_may_have_several_areas():
    field, road = read(RESPONSES["geospatial"]).objects
    assert field.shapes[0].rings[0][0] == (-79.1, -3.2)
    assert road.shapes[0].points == ((2.35, 48.85), (4.83, 45.76))
    (fields,) = read(BEYOND_THE_SDK["areas in lists"]).objects
    assert fields.shapes == (area(OUTER, HOLE), area(TRIANGLE))


# One object, several annotations


def test_annotations_with_one_mid_are_one_object_with_all_categories():
    split, whole = read(RESPONSES["semantic"]).objects
    assert (split.mid, whole.mid) == ("split", "whole")
    assert split.shapes == (area(OUTER, HOLE), area(TRIANGLE))
    assert split.path == "JOB_0.annotations[0]"
    pieces = [polygon("m", category) for category in ("CAR", "TREE", "CAR")]
    assert only_object(*pieces).categories == ("CAR", "TREE")


def test_one_mid_in_two_jobs_is_two_objects():
    reading = read({"A": {"annotations": [polygon("m")]}, "B": {"annotations": [polygon("m")]}})
    assert [obj.job for obj in reading.objects] == ["A", "B"]


def test_annotations_without_a_mid_are_separate_objects():
    nameless = [{key: value for key, value in polygon().items() if key != "mid"}] * 2
    assert [obj.key for obj in reading_of(*nameless).objects] == ["JOB_0.annotations[0]", "JOB_0.annotations[1]"]


def test_object_on_several_frames_is_one_track():
    car_a, car_b = read(RESPONSES["video"]).objects
    assert [(shape.frame, shape.key_frame) for shape in car_a.shapes] == [(1, True), (2, False)]
    assert [shape.frame for shape in car_b.shapes] == [1]
    assert car_a.path == "1.JOB_0.annotations[0]"


def test_frames_are_read_in_numeric_order():
    (track,) = read({key: tracked(int(key), True, ("m", 0.1)) for key in ("10", "9", "100", "0")}).objects
    assert [shape.frame for shape in track.shapes] == [0, 9, 10, 100]
    assert track.path == "0.JOB_0.annotations[0]"


def test_keypoints_of_a_pose_in_a_video_have_frames():
    frames = {str(frame): {"P": {"annotations": [pose("m", "FACE", {"NOSE": (0, 0)})]}} for frame in (4, 5)}
    (track,) = read(frames).objects
    assert [point.frame for point in track.keypoints] == [4, 5]


def test_twenty_thousand_annotations_are_read():
    assert len(reading_of(*(marker(f"m{index}") for index in range(20_000))).objects) == 20_000
    obj = only_object(*(marker("m", f"C{index}") for index in range(20_000)))
    assert len(obj.categories) == len(obj.shapes) == 20_000


# Texts and PDFs


@pytest.mark.parametrize(
    ("drawn", "span"),
    [
        (entity("m", "NOUN", "Cow", 4), Span("Cow", "main/[0]", 4, "main/[0]", 7)),
        ({"beginOffset": 21, "content": "Kili", "mid": "a"}, Span("Kili", None, 21, None, None)),
    ],
)
def test_entity_has_a_span_that_may_lack_an_end(drawn, span):
    obj = only_object(drawn)
    assert (obj.tool, obj.shapes, obj.span) == ("entity", (), span)


def test_entity_in_a_pdf_has_an_area_for_each_line():
    lines = [(1, box(0.5, 0.9, 0.4, 0.02)), (2, box(0, 0, 0.5, 0.02)), (2, box(0, 0.02, 0.1, 0.02))]
    obj = only_object(on_pages("m", "NOUN", "three lines long", lines))
    assert (obj.tool, obj.span) == ("entity", Span("three lines long"))
    assert obj.shapes == tuple(area(ring, page=page) for page, ring in lines)


def test_line_of_an_entity_may_have_any_number_of_vertices():
    assert only_object(on_pages("m", "NOUN", "slanted", [(1, TRIANGLE)])).shapes == (area(TRIANGLE, page=1),)


def test_area_in_a_pdf_is_a_rectangle_unless_it_has_a_type():
    boxed, polygonal = read(RESPONSES["drawn in a PDF"]).objects
    assert (boxed.tool, boxed.shapes) == ("rectangle", (area(box(0.1, 0.1, 0.2, 0.2), page=2),))
    assert (polygonal.tool, polygonal.shapes) == ("polygon", (area(OUTER, HOLE, page=1),))


def test_single_page_number_is_that_of_every_outline():
    drawn = on_pages("m", "NOUN", "text", [(3, box(0, 0, 1, 0.1)), (3, box(0, 0.1, 1, 0.1))])
    both = only_object(drawn).shapes
    drawn["annotations"][0]["pageNumberArray"] = [3]
    assert only_object(drawn).shapes == both
