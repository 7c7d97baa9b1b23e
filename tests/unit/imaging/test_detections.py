"""Detections as arrays: from boxes, from outlines, which overlap, which stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.detections import Detections, distinct, overlaps
from annohooks.imaging.outlines import Outlines

BOXES = np.array([[10.0, 20, 30, 60], [0, 0, 5.5, 5]])


def test_box_becomes_its_corners_clockwise_from_the_top_left():
    found = Detections.from_boxes(BOXES, ["a", "b"], [0.5, 1])
    assert found.ring(0).tolist() == [[10, 20], [30, 20], [30, 60], [10, 60]]
    assert found.offsets.tolist() == [0, 4, 8]
    assert found.labels == ("a", "b")
    assert found.scores.tolist() == [0.5, 1]
    assert found.boxes().tolist() == BOXES.tolist()


def test_scores_that_are_not_given_are_not_known():
    assert np.isnan(Detections.from_boxes(BOXES, ["a", "b"]).scores).all()


@pytest.mark.parametrize(
    "nothing", [Detections.empty(), Detections.from_boxes([], []), Detections.from_outlines(Outlines.empty(), [])]
)
def test_nothing_is_nothing_in_every_form(nothing):
    assert len(nothing) == 0
    assert nothing.xy.shape == (0, 2)
    assert nothing.offsets.tolist() == [0]
    assert nothing.boxes().shape == (0, 4)
    assert nothing.scores.shape == (0,)


def test_holes_of_outlines_are_left_out_with_their_labels():
    rings = [[(0, 0), (9, 0), (9, 9), (0, 9)], [(2, 2), (4, 2), (4, 4)], [(20, 5), (25, 5), (22, 9)]]
    found = Detections.from_outlines(Outlines.from_rings(rings, [-1, 0, -1]), ["cell", "hole", "nucleus"])
    assert found.labels == ("cell", "nucleus")
    assert found.ring(1).tolist() == [[20, 5], [25, 5], [22, 9]]
    assert found.boxes().tolist() == [[0, 0, 9, 9], [20, 5, 25, 9]]
    assert found.xy.dtype == np.float64


BOX = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


def pixels(box):
    mask = np.zeros((12, 12), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(BOX, st.lists(BOX, max_size=5))
def test_overlap_is_what_counting_pixels_gives(box, others):
    found = overlaps(np.array(box, float), np.array(others, float).reshape(-1, 4))
    for overlap, other in zip(found, others, strict=True):
        either = (pixels(box) | pixels(other)).sum()
        assert overlap == pytest.approx((pixels(box) & pixels(other)).sum() / either if either else 0)


@given(
    st.lists(st.tuples(BOX, st.integers(1, 100), st.integers(0, 1)), max_size=8),
    st.sampled_from([0.1003, 0.5003, 0.9003]),
)
def test_distinct_boxes_are_those_that_no_surer_one_that_stays_overlaps(found, max_iou):
    boxes = np.array([box for box, _, _ in found], float).reshape(-1, 4) + np.array([0, 0, 1, 1])
    scores = np.array([score / 100 for _, score, _ in found])
    classes = np.array([each for _, _, each in found], np.int64)
    for given_classes in (None, classes):
        wanted = []
        for index in np.argsort(-scores, kind="stable"):
            rivals = [each for each in wanted if given_classes is None or classes[each] == classes[index]]
            if all(overlaps(boxes[index], boxes[[each]])[0] <= max_iou for each in rivals):
                wanted.append(index)
        assert sorted(distinct(boxes, scores, max_iou, given_classes).tolist()) == sorted(wanted)
