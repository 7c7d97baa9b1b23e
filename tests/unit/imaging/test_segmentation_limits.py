"""The resolution of a region, the shapes that count, deadlines and errors."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest
from analysed import InMemory, assert_same, rectangle, segment
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, DeadlineExceeded, Upstream
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.region import Box, Region, Shape
from annohooks.imaging.segmentation import Limits

SLIDE_CONNECTIONS = 6


@pytest.fixture
def dark():
    """A slide that is dark everywhere."""
    return InMemory(np.full((200, 300, 3), 40, np.uint8), 1.0)


def drawn(*ring, holes=()):
    """A region of one freely drawn shape."""
    shape = Shape((np.array(ring, np.float64),), holes)
    return Region(shape.box, (shape,))


# Resolution


@pytest.mark.parametrize(
    ("slide_mpp", "target_mpp", "downsample"),
    [(0.25, 0.25, 1), (0.25, 1.0, 4), (2.0, 0.5, 1), (0.23, 1.0, 4), (0.3, 0.5, 2), (0.4, 0.5, 1), (0.01, 1.0, 128)],
)
def test_resolution_is_the_power_of_two_nearest_to_that_of_the_analyzer(slide_mpp, target_mpp, downsample):
    assert segmentation.downsample_for(Box(0, 0, 100, 100), slide_mpp, target_mpp, 10**6) == downsample


@given(st.integers(1, 200_000), st.integers(1, 200_000), st.integers(10, 10**8))
def test_region_over_the_limit_is_read_as_coarsely_as_necessary_and_no_more(width, height, region_px):
    def pixels(downsample):
        return math.ceil(width / downsample) * math.ceil(height / downsample)

    downsample = segmentation.downsample_for(Box(0, 0, width, height), 0.5, 0.5, region_px)
    assert pixels(downsample) <= region_px
    assert downsample == 1 or pixels(downsample // 2) > region_px


def test_region_over_the_limit_is_measured_at_the_resolution_at_which_it_was_read():
    pixels = np.full((512, 512, 3), 230, np.uint8)
    pixels[128:256, 64:320] = 40
    findings = segment(InMemory(pixels, 1.0), limits=Limits(region_px=128 * 128))
    assert findings.downsample == 4
    assert (findings.area_um2, findings.region_um2) == (128 * 256, 512 * 512)
    assert findings.outlines.xy.min(axis=0).tolist() == [66, 130]
    assert findings.outlines.xy.max(axis=0).tolist() == [318, 254]


def test_slide_of_unknown_resolution_is_taken_for_a_40x_scan(mosaic):
    region = rectangle(0, 0, 400, 400)
    findings = segment(InMemory(mosaic, None), region)
    assert (findings.downsample, findings.region_um2) == (4, 100 * 100)
    assert_same(findings, segment(InMemory(mosaic, segmentation.ASSUMED_MPP), region))


@pytest.mark.parametrize("mpp", [0.5, 0.25])
@pytest.mark.parametrize("limits", [Limits(), Limits(picture_px=70)], ids=["one picture", "tiles"])
def test_region_at_the_far_corner_of_an_odd_sized_slide_is_analysed_to_the_edge(mpp, limits):
    pixels = np.full((403, 505, 3), 230, np.uint8)
    pixels[300:, 400:] = 40
    findings = segment(InMemory(pixels, mpp), rectangle(303, 207, 202, 196), limits=limits)
    first, last = findings.outlines.xy.min(axis=0), findings.outlines.xy.max(axis=0)
    assert len(findings.outlines) == 1
    assert (first >= np.array([400, 300]) - findings.downsample).all()
    assert (np.array([505, 403]) - last <= findings.downsample).all()
    assert (last <= (505, 403)).all()


TOO_COARSE = "Nuclei cannot be recognised on this slide: it has 1.1 um per pixel, and 1 or less is needed"
TOO_LARGE = "too large to look for nuclei: please draw a region smaller than 0.1 mm2"


@pytest.mark.parametrize(
    ("mpp", "limits", "message"), [(1.1, Limits(), TOO_COARSE), (0.5, Limits(region_px=100_000), TOO_LARGE)]
)
def test_slide_too_coarse_or_region_too_large_is_refused_in_words_and_not_read(mosaic, mpp, limits, message):
    slide = InMemory(mosaic, mpp)
    with pytest.raises(BadRequest, match=message):
        segment(slide, rectangle(0, 0, 900, 900), Nuclei(), NucleiParameters(), limits)
    assert slide.read == []


# What counts


def test_shape_that_contains_no_pixel_has_no_findings_and_is_not_read(dark):
    findings = segment(dark, drawn((20, 20), (120, 90), (20, 20)))
    assert (len(findings.outlines), findings.area_um2, findings.region_um2) == (0, 0, 0)
    assert dark.read == []


def test_tiles_without_drawn_pixels_are_not_read():
    slide = InMemory(np.full((900, 900, 3), 40, np.uint8), 1.0)
    strip = drawn((0, 0), (40, 0), (900, 860), (900, 900), (860, 900), (0, 40))
    findings = segment(slide, strip, limits=Limits(picture_px=116))
    tiles = {box for box in slide.read if max(box.width, box.height) <= 116}
    assert len(tiles) < 30 < 9 * 9
    assert findings.area_um2 == findings.region_um2


def test_only_objects_in_the_drawn_shapes_are_found_and_a_hole_cut_by_a_brush_is_their_hole(dark):
    hole = np.array([(80, 80), (84, 80), (84, 84), (80, 84)], np.float64)
    findings = segment(dark, drawn((10, 10), (190, 10), (190, 170), (10, 170), holes=(hole,)))
    assert sorted(findings.outlines.parent.tolist()) in ([-1, 0], [-1, 1])
    assert findings.area_um2 == findings.region_um2 == 180 * 160 - 16


@pytest.mark.parametrize(("smallest", "largest", "count"), [(0, 0, 3), (50, 0, 2), (0, 500, 2), (50, 500, 1)])
def test_objects_between_the_smallest_and_the_largest_area_are_found(smallest, largest, count):
    pixels = np.full((200, 300, 3), 230, np.uint8)
    pixels[20:25, 20:25] = pixels[60:70, 60:80] = pixels[100:140, 100:160] = 40
    parameters = DarkRegionsParameters(threshold=150, smallest_um2=smallest, largest_um2=largest)
    assert len(segment(InMemory(pixels, 1.0), parameters=parameters).outlines) == count


# Errors, deadlines, connections


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda right: 255 * right, "of class 255, where there are 1"),
        (lambda right: right > 0, r"bool \[120, 90\]"),
        (lambda right: np.ascontiguousarray(right.T), r"uint8 \[90, 120\] for a picture of \[120, 90\]"),
    ],
    ids=["an OpenCV mask", "bool", "transposed"],
)
def test_invalid_class_map_is_refused_and_not_counted(mosaic, change, message):
    class Broken(DarkRegions):
        def class_map(self, picture, mpp, parameters, calibration):
            return change(super().class_map(picture, mpp, parameters, calibration))

    with pytest.raises(AnnohooksError, match=f'"Dark regions" does not work: .*{message}'):
        segment(InMemory(mosaic, 1.0), rectangle(0, 0, 90, 120), Broken())


def assert_no_thread_reads():
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("tile", "sample"))]


def test_no_more_is_read_once_the_deadline_has_passed(mosaic, monkeypatch):
    now_s, slide = itertools.chain([0.0] * 6, itertools.repeat(1000.0)), InMemory(mosaic, 1.0)
    deadline = Deadline(500.0)
    monkeypatch.setattr("annohooks.core.deadline.time.monotonic", lambda: next(now_s))
    with pytest.raises(DeadlineExceeded, match="ran out while looking for dark regions"):
        segment(slide, rectangle(0, 0, 960, 880), limits=Limits(picture_px=100), deadline=deadline)
    assert_no_thread_reads()
    assert 0 < len(slide.read) < 16 + 6 + 3 * SLIDE_CONNECTIONS


def test_joining_ends_once_the_deadline_has_passed(mosaic):
    class PassedWhenJoining(Deadline):
        def check(self, doing):
            if doing == "joining the outlines":
                raise DeadlineExceeded(f"The time for this request ran out while {doing}.")

    limits, deadline = Limits(picture_px=200), PassedWhenJoining.after(60)
    with pytest.raises(DeadlineExceeded, match="joining"):
        segment(InMemory(mosaic, 1.0), rectangle(0, 0, 960, 880), limits=limits, deadline=deadline)
    assert_no_thread_reads()


@pytest.mark.parametrize("failing", [0, 20], ids=["of the sample", "of a tile"])
def test_picture_that_cannot_be_read_ends_the_analysis_with_its_error(mosaic, failing):
    class Failing(InMemory):
        def pixels_of(self, box, downsample):
            if len(self.read) > failing:
                raise Upstream("Slide Score answered with status 500 while reading the pixels.")
            return super().pixels_of(box, downsample)

    slide = Failing(mosaic, 1.0)
    with pytest.raises(Upstream, match="status 500"):
        segment(slide, rectangle(0, 0, 960, 880), limits=Limits(picture_px=100))
    assert_no_thread_reads()
    assert failing < len(slide.read) <= failing + 2 * SLIDE_CONNECTIONS


def test_slide_is_never_asked_for_more_than_it_can_serve_at_once(mosaic):
    together = threading.Barrier(4, timeout=10)

    class Waiting(InMemory):
        def pixels_of(self, box, downsample):
            together.wait()
            return super().pixels_of(box, downsample)

    slide = Waiting(mosaic, 1.0)
    segment(slide, rectangle(0, 0, 800, 800), limits=Limits(picture_px=216))
    assert slide.most_at_once == 4 <= SLIDE_CONNECTIONS
    assert len(slide.read) % 4 == 0
