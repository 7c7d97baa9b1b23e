"""Detections as arrays: from boxes and outlines, their overlap, and the distinct ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.detections import Detections, distinct, overlaps
from annohooks.imaging.outlines import Outlines

BOXES = np.array([[10.0, 20, 30, 60], [0, 0, 5.5, 5]])


def test_box_becomes_its_corners_clockwise_from_the_top_left():
    detections = Detections.from_boxes(BOXES, ["a", "b"], [0.5, 1])
    assert detections.ring(0).tolist() == [[10, 20], [30, 20], [30, 60], [10, 60]]
    assert detections.offsets.tolist() == [0, 4, 8]
    assert detections.labels == ("a", "b")
    assert detections.scores.tolist() == [0.5, 1]
    assert detections.boxes().tolist() == BOXES.tolist()


def test_scores_may_be_unknown():
    assert np.isnan(Detections.from_boxes(BOXES, ["a", "b"]).scores).all()


@pytest.mark.parametrize(
    "empty", [Detections.empty(), Detections.from_boxes([], []), Detections.from_outlines(Outlines.empty(), [])]
)
def test_no_detections_are_empty_arrays(empty):
    assert len(empty) == 0
    assert empty.xy.shape == (0, 2)
    assert empty.offsets.tolist() == [0]
    assert empty.boxes().shape == (0, 4)
    assert empty.scores.shape == (0,)


def test_holes_of_outlines_are_left_out_with_their_labels():
    rings = [[(0, 0), (9, 0), (9, 9), (0, 9)], [(2, 2), (4, 2), (4, 4)], [(20, 5), (25, 5), (22, 9)]]
    detections = Detections.from_outlines(Outlines.from_rings(rings, [-1, 0, -1]), ["cell", "hole", "nucleus"])
    assert detections.labels == ("cell", "nucleus")
    assert detections.ring(1).tolist() == [[20, 5], [25, 5], [22, 9]]
    assert detections.boxes().tolist() == [[0, 0, 9, 9], [20, 5, 25, 9]]
    assert detections.xy.dtype == np.float64


BOX = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


def pixels(box):
    mask = np.zeros((12, 12), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(BOX, st.lists(BOX, max_size=5))
def test_overlap_is_that_of_counted_pixels(box, others):
    ious = overlaps(np.array(box, float), np.array(others, float).reshape(-1, 4))
    for iou, other in zip(ious, others, strict=True):
        union = (pixels(box) | pixels(other)).sum()
        assert iou == pytest.approx((pixels(box) & pixels(other)).sum() / union if union else 0)


@given(
    st.lists(st.tuples(BOX, st.integers(1, 100), st.integers(0, 1)), max_size=8),
    st.sampled_from([0.1003, 0.5003, 0.9003]),
    st.booleans(),
)
def test_distinct_boxes_overlap_none_of_a_higher_score_that_stays(detections, max_iou, by_class):
    boxes = np.array([box for box, _, _ in detections], float).reshape(-1, 4) + np.array([0, 0, 1, 1])
    scores = np.array([score / 100 for _, score, _ in detections])
    classes = np.array([number for _, _, number in detections], np.int64)
    expected = []
    for index in np.argsort(-scores, kind="stable"):
        rivals = [other for other in expected if not by_class or classes[other] == classes[index]]
        if all(overlaps(boxes[index], boxes[[other]])[0] <= max_iou for other in rivals):
            expected.append(index)
    indices = distinct(boxes, scores, max_iou, classes if by_class else None)
    assert sorted(indices.tolist()) == sorted(expected)
