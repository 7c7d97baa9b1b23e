"""Detections and appearances as AION, judged by AION's rules."""

from __future__ import annotations

import math
import re

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spots import sent

from annohooks.aiware import aion
from annohooks.core.errors import TooLarge
from annohooks.imaging.detections import Detections
from annohooks.imaging.tracking import Appearance

SIZE = (640, 480)
BOX = (64.0, 48.0, 320.0, 240.0)
CORNERS = [{"x": 0.1, "y": 0.1}, {"x": 0.5, "y": 0.1}, {"x": 0.5, "y": 0.5}, {"x": 0.1, "y": 0.5}]


def boxes(*corners, labels=None, scores=None):
    return Detections.from_boxes(np.array(corners, float), labels or [""] * len(corners), scores)


def rings(*rings):
    """Rings as lists of points, without labels and scores."""
    offsets = np.cumsum([0, *map(len, rings)])
    xy = np.array([point for ring in rings for point in ring], float).reshape(-1, 2)
    return Detections(xy, offsets, ("",) * len(rings), np.full(len(rings), np.nan))


def blobs(number, vertices, size):
    """Rough circles, counterclockwise, as contours are."""
    random = np.random.default_rng(seed=1)
    angle = np.linspace(0, -2 * np.pi, vertices, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = random.uniform(40, np.array(size) - 40, (number, 1, 2))
    xy = centre + circle * random.uniform(19.8, 20.2, (number, vertices, 1))
    offsets = np.arange(0, number * vertices + 1, vertices)
    return Detections(xy.reshape(-1, 2), offsets, ("nuclei",) * number, np.full(number, np.nan))


def appearance(start_ms, stop_ms, box=BOX, label="dog", score=0.5, track=1):
    x0, y0, x1, y1 = box
    ring = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return Appearance(start_ms, stop_ms, ring, label, score, track)


def polygons(document):
    """Arrays [k, 2] of fractions of the picture."""
    return [np.array([(p["x"], p["y"]) for p in found["boundingPoly"]]) for found in sent(document)["object"]]


def of_picture(detections, kind="object", times_ms=None, more_keys=None):
    return sent(aion.of_picture(detections, kind, SIZE, times_ms, more_keys))


class TestOfPicture:
    def test_a_box_becomes_its_corners_in_fractions_of_the_picture_with_label_and_confidence(self):
        more_keys = {"summary": "A dog.", "vendor": {"a": 1}}
        document = of_picture(boxes(BOX, labels=["dog"], scores=[0.91]), more_keys=more_keys)
        assert document["object"] == [{"type": "object", "label": "dog", "confidence": 0.91, "boundingPoly": CORNERS}]
        assert document["validationContracts"] == ["object"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["generatedDateUTC"])
        assert more_keys.items() <= document.items()

    def test_a_type_without_a_contract_promises_none(self):
        document = of_picture(boxes(BOX), "face")
        assert document["object"] == [{"type": "face", "boundingPoly": CORNERS}]
        assert "validationContracts" not in document

    def test_nothing_found_is_an_empty_array(self):
        assert of_picture(Detections.empty(), "face")["object"] == []
        assert of_picture(Detections.empty(), "face", (1000, 2000))["series"] == []
        document = sent(aion.of_appearances([], "object", SIZE, 5000))
        assert (document["series"], document["validationContracts"]) == ([], ["object"])

    def test_a_picture_of_a_time_becomes_a_series_with_one_object_in_each_item(self):
        document = of_picture(boxes(BOX, BOX, labels=["a", "b"]), times_ms=(1000, 2000))
        assert [(item["startTimeMs"], item["stopTimeMs"]) for item in document["series"]] == [(1000, 2000)] * 2
        assert [item["object"]["label"] for item in document["series"]] == ["a", "b"]
        assert "object" not in document

    @pytest.mark.parametrize(
        ("score", "confidence"),
        [(-1e-9, 0), (1.0000001, 1), (0.123456, 0.1235), (math.nan, None), (math.inf, None)],
    )
    def test_a_score_becomes_a_confidence_from_0_to_1_if_it_is_a_number(self, score, confidence):
        (found,) = of_picture(boxes(BOX, scores=[score]))["object"]
        assert found.get("confidence") == confidence

    @pytest.mark.parametrize(("label", "sent"), [("Zoë 😀", "Zoë 😀"), ('"a"\n\x00', '"a"\n\x00'), ("a\ud800", "a?")])
    def test_a_label_is_sent_whatever_it_holds(self, label, sent):
        assert of_picture(boxes(BOX, labels=[label]), "barcode")["object"][0]["label"] == sent

    def test_coordinates_are_moved_into_the_picture(self):
        (polygon,) = polygons(of_picture(boxes((-1e-9, -20.0, 640.0000001, 500.0))))
        assert polygon.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]

    @pytest.mark.parametrize(
        "box", [(-50, 10, -1, 60), (10, 480, 60, 500), (1e300, 1e300, 2e300, 2e300), (math.nan, 0, 10, 10)]
    )
    def test_what_lies_beside_the_picture_or_nowhere_is_left_out_alone(self, box):
        document = of_picture(boxes(box, BOX, box, labels=["a", "b", "c"]))
        assert [found["label"] for found in document["object"]] == ["b"]
        assert of_picture(boxes(box))["object"] == []

    @pytest.mark.parametrize(
        ("ring", "box"),
        [
            ([(100, 50)], [99.5, 49.5, 100.5, 50.5]),
            ([(100, 50), (120, 50), (110, 50)], [99.5, 49.5, 120.5, 50.5]),
            ([(0, 0)], [0, 0, 0.5, 0.5]),
            ([(640, 480), (640, 480)], [639.5, 479.5, 640, 480]),
        ],
    )
    def test_a_point_or_a_line_becomes_a_box_a_pixel_wide_in_its_place(self, ring, box):
        detections = rings([(0, 0), (9, 0), (9, 9)], ring, [(20, 0), (29, 0), (29, 9)])
        before, polygon, after = polygons(of_picture(detections))
        assert (len(before), len(polygon), len(after)) == (3, 4, 3)
        x0, y0, x1, y1 = box
        assert polygon * SIZE == pytest.approx(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), abs=0.05)

    def test_a_ring_turns_clockwise_whichever_way_it_came(self):
        ring = [(10, 10), (100, 20), (60, 90)]
        one, other = polygons(of_picture(rings(ring, ring[::-1])))
        assert one.tolist() == other.tolist()

    def test_a_vertex_that_is_there_twice_is_sent_once(self):
        ring = [(32, 48), (32, 48), (320, 24), (320.01, 24), (64, 96), (32.01, 48)]
        (polygon,) = polygons(of_picture(rings(ring)))
        assert len(polygon) == 3

    coordinates = st.floats(-2000, 2000) | st.floats() | st.integers(0, 640)
    some_rings = st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=9), max_size=6)

    @given(some_rings, st.floats(), st.integers(1, 50_000), st.integers(1, 50_000))
    def test_whatever_was_found_it_is_aion(self, some_rings, score, width, height):
        found = rings(*some_rings)
        detections = Detections(found.xy, found.offsets, found.labels, np.full(len(found), score))
        sent(aion.of_picture(detections, "object", (width, height), (0, 1)))

    corners = st.tuples(st.integers(0, 600), st.integers(0, 440), st.integers(1, 40), st.integers(1, 40))

    @given(st.lists(corners, min_size=1, max_size=5), st.sampled_from([(640, 480), (6400, 4800), (640, 4800)]))
    def test_boxes_come_back_to_a_tenth_of_a_pixel(self, corners, size):
        sent_boxes = [(x, y, x + width, y + height) for x, y, width, height in corners]
        found = polygons(aion.of_picture(boxes(*sent_boxes), "object", size))
        back = [[*(polygon * size).min(axis=0), *(polygon * size).max(axis=0)] for polygon in found]
        assert np.array(back) == pytest.approx(np.array(sent_boxes), abs=0.1)


class TestSize:
    """A tenth of the real limit, which tells the same in a tenth of the time."""

    SIZE = (4000, 3000)

    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch):
        monkeypatch.setattr(aion, "MAX_BYTES", 500_000)

    def test_a_document_that_fits_is_told_to_the_last_vertex_and_others_simplified_by_no_more_than_two_pixels(self):
        fitting = sent(aion.of_picture(blobs(100, 40, self.SIZE), "object", self.SIZE))
        assert {len(found["boundingPoly"]) for found in fitting["object"]} == {40}
        detections = blobs(1000, 40, self.SIZE)
        document = aion.of_picture(detections, "object", self.SIZE)
        assert len(msgspec.json.encode(document)) <= 500_000
        simplified = polygons(document)
        assert len(simplified) == 1000
        assert sum(map(len, simplified)) < 40_000
        boxes = np.array([[*polygon.min(axis=0), *polygon.max(axis=0)] for polygon in simplified]) * (self.SIZE * 2)
        assert np.abs(boxes - detections.boxes()).max() <= 2.1

    def test_what_would_be_simplified_to_nothing_stays(self):
        line = rings([(x, 100 + x % 2) for x in range(100, 150)] + [(150, 102)])
        blob = blobs(1000, 40, self.SIZE)
        xy, offsets = np.concatenate([line.xy, blob.xy]), np.append(0, line.offsets[1] + blob.offsets)
        both = Detections(xy, offsets, ("line", *blob.labels), np.full(1001, np.nan))
        document = sent(aion.of_picture(both, "object", self.SIZE))
        assert document["object"][0]["label"] == "line"
        assert len(document["object"]) == 1001

    def test_too_much_for_a_result_is_refused_with_a_remedy(self, monkeypatch):
        monkeypatch.setattr(aion, "MAX_BYTES", 1_000_000)
        with pytest.raises(TooLarge, match=r"10,000 objects were found, .* 1 MB .* smaller picture"):
            aion.of_picture(blobs(10_000, 8, self.SIZE), "object", self.SIZE)

    def test_too_much_for_a_result_about_a_video_is_refused_with_another(self):
        ring = blobs(1, 400, self.SIZE).xy * (30, 30)
        with pytest.raises(TooLarge, match=r"`segmentMs`.*`sampleMs`"):
            aion.of_appearances([Appearance(0, 1000, ring, "dog", 0.5, 1)] * 150, "object", (120_000, 90_000))


def test_the_limit_is_what_lambda_can_answer_with():
    assert aion.MAX_BYTES * 7 / 6 < 6_291_456


def of_appearances(*appearances, kind="object", offset_ms=0):
    return sent(aion.of_appearances(appearances, kind, SIZE, offset_ms))


class TestOfAppearances:
    def test_an_appearance_becomes_an_item_with_its_track_and_times_of_the_asset(self):
        (item,) = of_appearances(appearance(1000, 3000, track=7), offset_ms=60_000)["series"]
        found = {"type": "object", "label": "dog", "confidence": 0.5, "boundingPoly": CORNERS, "vendor": {"track": 7}}
        assert item == {"startTimeMs": 61_000, "stopTimeMs": 63_000, "object": found}

    def test_items_are_in_the_order_in_which_they_start_and_then_stop(self):
        times = [(2000, 9000), (0, 9000), (2000, 3000), (0, 1000)]
        series = of_appearances(*(appearance(*span) for span in times), kind="face")["series"]
        assert [(item["startTimeMs"], item["stopTimeMs"]) for item in series] == sorted(times)

    def test_an_appearance_keeps_its_object_when_others_are_left_out_and_the_order_changes(self):
        series = of_appearances(
            appearance(2000, 3000, label="late", track=1),
            appearance(0, 1000, (900, 900, 950, 950), label="outside", track=2),
            appearance(0, 1000, (64, 48, 64, 48), label="point", track=3),
        )["series"]
        items = [(item["startTimeMs"], item["object"]["label"], item["object"]["vendor"]["track"]) for item in series]
        assert items == [(0, "point", 3), (2000, "late", 1)]
