"""Regions of any size: tiles, their seams, limits, and what stops the reading."""

from __future__ import annotations

import itertools
import math
import threading
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_in_memory import InMemory

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, DeadlineExceeded, Upstream
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers.base import ObjectClass
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.region import Box, Region, Shape
from annohooks.imaging.segmentation import Limits

SLIDE_CONNECTIONS = 6
DARK = DarkRegionsParameters(threshold=150)
HEMATOXYLIN_BGR = np.array((0.286, 0.704, 0.650))


class NucleiAt(Nuclei):
    """With a threshold of its own, so that tiles and one piece have the same."""

    def __init__(self, level):
        self.level = level

    def calibrate(self, sample, mpp, parameters):
        return (self.level / 255,) * (2 if parameters.marker == "either" else 1)


def rectangle(x, y, width, height):
    ring = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)
    return Region(Box(x, y, width, height), (Shape((ring,)),))


def segment(slide, region, analyzer=None, parameters=None, limits=None, deadline=None):
    return segmentation.segment(
        slide,
        region,
        analyzer or DarkRegions(),
        parameters or DARK,
        deadline or Deadline.after(60),
        limits or Limits(),
    )


def assert_same(findings, other):
    assert len(findings.outlines) > 0
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(findings.outlines, array), getattr(other.outlines, array)), array
    for array in ("classes", "object_counts", "area_um2"):
        assert np.array_equal(getattr(findings, array), getattr(other, array)), array
    assert findings.region_um2 == other.region_um2
    assert findings.downsample == other.downsample


# Seams


@pytest.mark.parametrize(("mpp", "downsample"), [(1.0, 1), (0.5, 2)])
@pytest.mark.parametrize("picture_px", [129, 200, 333])
def test_dark_regions_in_tiles_are_those_in_one_piece(mosaic, mpp, downsample, picture_px):
    slide, region = InMemory(mosaic, mpp), rectangle(13, 27, 961, 853)
    whole = segment(slide, region)
    assert whole.downsample == downsample
    assert len(slide.read) == 1
    assert_same(segment(slide, region, limits=Limits(picture_px)), whole)
    assert len(slide.read) > 6


@pytest.mark.parametrize(("mpp", "downsample"), [(0.5, 1), (0.25, 2)])
@pytest.mark.parametrize("marker", ["hematoxylin", "either"])
def test_nuclei_in_tiles_are_those_in_one_piece(mosaic, mpp, downsample, marker):
    slide, region = InMemory(mosaic, mpp), rectangle(13, 27, 961, 853)
    parameters = NucleiParameters(stain="H-DAB", marker=marker, separation=0.9)
    whole = segment(slide, region, NucleiAt(27.0), parameters)
    assert whole.downsample == downsample
    assert len(whole.outlines) > 50
    for picture_px in (300, 477):
        slide.read.clear()
        assert_same(segment(slide, region, NucleiAt(27.0), parameters, Limits(picture_px)), whole)
        assert len(slide.read) >= 2 * 2


@pytest.mark.parametrize(("seed", "size_px", "separation"), [(2, 40, 0.9), (3, 40, 0.9), (4, 20, 0.98)])
def test_sheets_of_stain_wider_than_the_halo_join_too(seed, size_px, separation):
    random = np.random.default_rng(seed)
    field = cv2.GaussianBlur(random.normal(size=(860, 930)), (0, 0), size_px)
    density = (field > 0.3 * field.std()) * 1.2
    light = 245 * 10 ** -(density[..., None] * HEMATOXYLIN_BGR) + random.normal(0, 2, (860, 930, 1))
    slide = InMemory(np.clip(light, 0, 255).astype(np.uint8), 0.5)
    parameters = NucleiParameters(stain="H-DAB", separation=separation, largest_um2=0)
    whole = segment(slide, rectangle(7, 5, 911, 843), NucleiAt(60.0), parameters)
    tiled = segment(slide, rectangle(7, 5, 911, 843), NucleiAt(60.0), parameters, Limits(picture_px=331))
    assert_same(tiled, whole)


class ByShade(DarkRegions):
    """Two classes, of which one lies in the other."""

    classes = (ObjectClass("dark", "#000000"), ObjectClass("darker", "#0000FF"))

    def class_map(self, picture, mpp, parameters, calibration):
        shade = cv2.GaussianBlur(picture[..., 1], (5, 5), 0)
        return (shade < 150).astype(np.uint8) + (shade < 110)


@pytest.mark.parametrize("picture_px", [129, 333])
def test_classes_are_told_apart_in_tiles_as_in_one_piece(mosaic, picture_px):
    slide, region = InMemory(mosaic, 1.0), rectangle(13, 27, 961, 853)
    whole = segment(slide, region, ByShade())
    assert len(np.unique(whole.classes)) == 2
    assert_same(segment(slide, region, ByShade(), limits=Limits(picture_px)), whole)
    for number in (1, 2):
        one_class = whole.outlines.take(whole.classes == number)
        assert one_class.is_outer.sum() == whole.object_counts[number - 1]


@pytest.mark.parametrize("picture_px", [129, 333])
def test_freely_drawn_shapes_are_searched_in_tiles_as_in_one_piece(mosaic, picture_px):
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    star = 450 + (300 + 140 * np.cos(9 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    speck = 400.0 + np.array([(0, 0), (2, 0), (2, 2), (0, 2)])
    brush = Shape((star,), (star / 4 + 300, speck))
    region = Region(brush.box, (brush,))
    slide = InMemory(mosaic, 1.0)
    whole = segment(slide, region, limits=Limits(1000))
    assert len(slide.read) == 1
    assert_same(segment(slide, region, limits=Limits(picture_px)), whole)


@pytest.mark.parametrize(("objects", "vertices"), [(20, 10**6), (10**6, 500)])
def test_of_too_many_objects_the_largest_are_outlined_and_all_are_counted(mosaic, objects, vertices):
    slide, region = InMemory(mosaic, 1.0), rectangle(13, 27, 961, 853)
    everything = segment(slide, region)
    assert everything.left_out == 0
    some = segment(slide, region, limits=Limits(objects=objects, vertices=vertices))
    assert 0 < some.outlines.is_outer.sum() <= objects
    assert len(some.outlines.xy) <= vertices
    assert some.left_out == everything.outlines.is_outer.sum() - some.outlines.is_outer.sum() > 0
    assert (some.object_counts, some.area_um2) == (everything.object_counts, everything.area_um2)
    assert_same(segment(slide, region, limits=Limits(129, objects=objects, vertices=vertices)), some)


def test_memory_is_that_of_the_tiles_in_flight_and_not_of_the_region():
    """Less than the smallest mask of the region, however it is packed into bytes, one for each pixel."""
    pixels = np.full((2048, 2048, 3), 230, np.uint8)
    pixels[500:1500, 700:1300] = pixels[1700:1800] = 40
    slide = InMemory(pixels, 1.0)
    tracemalloc.start()
    found = segment(slide, rectangle(0, 0, 2048, 2048), limits=Limits(picture_px=100))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.area_um2 == 1000 * 600 + 100 * 2048
    assert most < 2048 * 2048


def test_object_across_four_tiles_is_one_outline_with_its_hole():
    pixels = np.full((400, 400, 3), 230, np.uint8)
    pixels[120:280, 130:290] = 40
    pixels[170:230, 180:240] = 230
    slide = InMemory(pixels, 1.0)
    found = segment(slide, rectangle(0, 0, 400, 400), limits=Limits(picture_px=216))
    tiles = [box for box in slide.read if 200 in (box.x + 8, box.y + 8, box.right - 8, box.bottom - 8)]
    assert len(tiles) == 4
    assert found.outlines.parent.tolist() in ([-1, 0], [1, -1])
    areas = sorted(found.outlines.areas().tolist())
    assert areas == pytest.approx([61 * 61, 159 * 159], rel=0.001)
    assert found.area_um2 == 160 * 160 - 60 * 60


def test_tiles_share_one_calibration(tissue):
    """The left half is dim: with a threshold of its own, each tile would find something else there."""
    pixels = np.hstack([tissue // 2, tissue])
    seen = []

    class Watching(DarkRegions):
        def class_map(self, picture, mpp, parameters, calibration):
            seen.append(calibration)
            return super().class_map(picture, mpp, parameters, calibration)

    segment(InMemory(pixels, 1.0), rectangle(0, 0, 1024, 512), Watching(), DarkRegionsParameters(), Limits(300))
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_sample_for_the_calibration_is_spread_over_the_region(mosaic):
    slide = InMemory(mosaic, 1.0)
    samples = []

    class Watching(DarkRegions):
        def calibrate(self, sample, mpp, parameters):
            samples.append((sample.shape, len(slide.read)))
            return super().calibrate(sample, mpp, parameters)

    segment(slide, rectangle(10, 20, 950, 850), Watching(), DarkRegionsParameters(), Limits(900))
    ((shape, reads),) = samples
    assert shape == (480, 16 * 480, 3)
    boxes = slide.read[:reads]
    assert (min(box.x for box in boxes), min(box.y for box in boxes)) == (10, 20)
    assert (max(box.right for box in boxes), max(box.bottom for box in boxes)) == (960, 870)


@settings(deadline=None)
@given(st.integers(60, 700), st.tuples(*4 * [st.floats(0, 1)]), st.sampled_from([0.25, 0.5, 1.0]))
def test_pictures_are_within_the_limit_and_cover_the_region(side, drawn, mpp):
    """And lie on the slide, which the slide in memory checks."""
    x, y = (int(fraction * (side - 50)) for fraction in drawn[:2])
    width, height = (8 + int(fraction * (side - at - 8)) for fraction, at in zip(drawn[2:], (x, y), strict=True))
    slide = InMemory(np.full((side, side, 3), 100, np.uint8), mpp)
    parameters = DarkRegionsParameters(threshold=255, smallest_um2=0)
    found = segment(slide, rectangle(x, y, width, height), parameters=parameters, limits=Limits(picture_px=200))
    for box in slide.read:
        assert math.ceil(box.width / found.downsample) <= 200
        assert math.ceil(box.height / found.downsample) <= 200
    if min(width, height) >= 4 * found.downsample:  # what is thinner is opened away
        assert found.area_um2 == found.region_um2


@pytest.mark.parametrize("mpp", [0.18, 0.25, 0.36, 0.5, 0.7])
def test_pictures_for_nuclei_are_within_the_smallest_limit_a_deployment_may_set(tissue, mpp):
    """Halo included, at any resolution nuclei are looked for."""
    slide = InMemory(np.tile(tissue, (4, 4, 1)), mpp)
    found = segment(slide, rectangle(0, 0, 2048, 2048), NucleiAt(27.0), NucleiParameters(), Limits(picture_px=512))
    assert len(slide.read) > 4
    assert max(max(box.width, box.height) for box in slide.read) <= 512 * found.downsample


# Resolution


@pytest.mark.parametrize(
    ("slide_mpp", "target_mpp", "downsample"),
    [
        (0.25, 0.25, 1),
        (0.25, 0.5, 2),
        (0.25, 1.0, 4),
        (0.5, 0.5, 1),
        (2.0, 0.5, 1),
        (0.23, 1.0, 4),
        (0.3, 0.5, 2),
        (0.4, 0.5, 1),
        (0.01, 1.0, 128),
    ],
)
def test_resolution_is_the_power_of_two_nearest_to_what_the_analyzer_wants(slide_mpp, target_mpp, downsample):
    assert segmentation.downsample_for(Box(0, 0, 100, 100), slide_mpp, target_mpp, 10**6) == downsample


@given(st.integers(1, 200_000), st.integers(1, 200_000), st.integers(10, 10**8))
def test_region_over_the_limit_is_read_as_much_coarser_as_it_takes_and_no_more(width, height, region_px):
    def pixels(at):
        return math.ceil(width / at) * math.ceil(height / at)

    downsample = segmentation.downsample_for(Box(0, 0, width, height), 0.5, 0.5, region_px)
    assert pixels(downsample) <= region_px
    assert downsample == 1 or pixels(downsample // 2) > region_px


def test_region_over_the_limit_is_analysed_and_measured_at_what_it_was_read():
    pixels = np.full((512, 512, 3), 230, np.uint8)
    pixels[128:256, 64:320] = 40
    found = segment(InMemory(pixels, 1.0), rectangle(0, 0, 512, 512), limits=Limits(region_px=128 * 128))
    assert found.downsample == 4
    assert (found.area_um2, found.region_um2) == (128 * 256, 512 * 512)
    assert found.outlines.xy.min(axis=0).tolist() == [66, 130]
    assert found.outlines.xy.max(axis=0).tolist() == [318, 254]


def test_slide_that_does_not_say_how_large_its_pixels_are_is_taken_for_a_40x_scan(mosaic):
    slide = InMemory(mosaic, None)
    found = segment(slide, rectangle(0, 0, 400, 400))
    assert found.downsample == 4
    assert_same(found, segment(InMemory(mosaic, segmentation.ASSUMED_MPP), rectangle(0, 0, 400, 400)))
    assert found.region_um2 == 100 * 100


@pytest.mark.parametrize("mpp", [0.5, 0.25])
def test_region_at_the_far_corner_of_an_odd_sized_slide_is_analysed_to_the_edge(mpp):
    pixels = np.full((403, 505, 3), 230, np.uint8)
    pixels[300:, 400:] = 40
    slide = InMemory(pixels, mpp)
    for limits in (Limits(), Limits(picture_px=70)):
        found = segment(slide, rectangle(303, 207, 202, 196), limits=limits)
        xy = found.outlines.xy
        assert len(found.outlines) == 1
        assert (xy.min(axis=0) >= np.array([400, 300]) - found.downsample).all()
        assert (np.array([505, 403]) - xy.max(axis=0) <= found.downsample).all()
        assert (xy.max(axis=0) <= (505, 403)).all()


@pytest.mark.parametrize("mpp", [1.1, 2.0, 50.0])
def test_slide_too_coarse_for_an_analyzer_is_refused_in_words_and_not_read(mosaic, mpp):
    slide = InMemory(mosaic, mpp)
    with pytest.raises(BadRequest, match="Nuclei cannot be recognised on this slide"):
        segment(slide, rectangle(0, 0, 500, 500), Nuclei(), NucleiParameters())
    assert slide.read == []


def test_region_too_large_for_an_analyzer_is_refused_with_the_size_that_is_not(mosaic):
    slide = InMemory(mosaic, 0.5)
    with pytest.raises(BadRequest, match=r"too large to look for nuclei: please draw a region smaller than 0.1 mm2"):
        segment(slide, rectangle(0, 0, 900, 900), Nuclei(), NucleiParameters(), Limits(region_px=100_000))
    assert slide.read == []


# What counts


@pytest.mark.parametrize(
    "ring", [[(20, 20), (120, 90), (20, 20)], [(10.1, 10.1), (10.4, 10.1), (10.2, 10.4)]], ids=["a line", "a dot"]
)
def test_shape_that_holds_no_pixel_holds_nothing_and_nothing_is_read(ring):
    slide = InMemory(np.full((200, 300, 3), 40, np.uint8), 0.5)
    shape = Shape((np.array(ring, np.float64),))
    found = segment(slide, Region(shape.box, (shape,)))
    assert (len(found.outlines), found.area_um2, found.region_um2) == (0, 0, 0)
    assert slide.read == []


def test_tiles_in_which_nothing_was_drawn_are_not_read():
    slide = InMemory(np.full((900, 900, 3), 40, np.uint8), 1.0)
    strip = np.array([(0, 0), (40, 0), (900, 860), (900, 900), (860, 900), (0, 40)], np.float64)
    found = segment(slide, Region(Box(0, 0, 900, 900), (Shape((strip,)),)), limits=Limits(picture_px=116))
    tiles = {box for box in slide.read if max(box.width, box.height) <= 116}
    assert len(tiles) < 30 < 9 * 9
    assert found.area_um2 == found.region_um2


def test_only_what_lies_in_the_drawn_shapes_is_found():
    slide = InMemory(np.full((200, 300, 3), 40, np.uint8), 1.0)
    triangle = np.array([(20, 20), (220, 20), (20, 180)], np.float64)
    found = segment(slide, Region(Box(20, 20, 200, 160), (Shape((triangle,)),)))
    assert found.region_um2 == pytest.approx(200 * 160 / 2, rel=0.01)
    assert found.area_um2 == found.region_um2
    assert found.outlines.areas().sum() == pytest.approx(200 * 160 / 2, rel=0.03)


def test_hole_cut_by_a_brush_is_a_hole_of_what_is_found_around_it():
    ring = rectangle(10, 10, 180, 160).shapes[0].rings
    brush = Shape(ring, (np.array([(80, 80), (84, 80), (84, 84), (80, 84)], np.float64),))
    found = segment(InMemory(np.full((200, 300, 3), 40, np.uint8), 1.0), Region(Box(10, 10, 180, 160), (brush,)))
    assert sorted(found.outlines.parent.tolist()) in ([-1, 0], [-1, 1])
    assert found.area_um2 == 180 * 160 - 16


@pytest.mark.parametrize(("smallest", "largest", "kept"), [(0, 0, 3), (50, 0, 2), (0, 500, 2), (50, 500, 1)])
def test_areas_between_smallest_and_largest_are_kept_counted_in_square_micrometres(smallest, largest, kept):
    pixels = np.full((200, 300, 3), 230, np.uint8)
    pixels[20:25, 20:25] = pixels[60:70, 60:80] = pixels[100:140, 100:160] = 40
    chosen = DarkRegionsParameters(threshold=150, smallest_um2=smallest, largest_um2=largest)
    assert len(segment(InMemory(pixels, 1.0), rectangle(0, 0, 300, 200), parameters=chosen).outlines) == kept


def test_nothing_found_is_no_outlines_and_no_area(glass):
    found = segment(InMemory(glass, 1.0), rectangle(0, 0, 700, 600), parameters=DarkRegionsParameters())
    assert (len(found.outlines), found.area_um2, found.region_um2) == (0, 0, 700 * 600)


# Deadline, errors, connections


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda right: 255 * right, "of class 255, where there are 1"),
        (lambda right: right > 0, r"bool \[120, 90\]"),
        (lambda right: np.ascontiguousarray(right.T), r"uint8 \[90, 120\] for a picture of \[120, 90\]"),
        (lambda right: right[::2, ::2], r"uint8 \[60, 45\]"),
    ],
    ids=["an OpenCV mask", "bool", "transposed", "half the size"],
)
def test_class_map_that_breaks_the_promises_is_refused_and_not_counted(mosaic, broken, said):
    class Broken(DarkRegions):
        def class_map(self, picture, mpp, parameters, calibration):
            return broken(super().class_map(picture, mpp, parameters, calibration))

    with pytest.raises(AnnohooksError, match=f'"Dark regions" does not work: .*{said}'):
        segment(InMemory(mosaic, 1.0), rectangle(0, 0, 90, 120), Broken())


def test_no_more_is_read_once_the_deadline_has_passed(mosaic, monkeypatch):
    slide = InMemory(mosaic, 1.0)
    now_s = itertools.chain([0.0] * 6, itertools.repeat(1000.0))
    deadline = Deadline(500.0)
    monkeypatch.setattr("annohooks.core.deadline.time.monotonic", lambda: next(now_s))
    with pytest.raises(DeadlineExceeded, match="ran out while looking for dark regions"):
        segment(slide, rectangle(0, 0, 960, 880), limits=Limits(picture_px=100), deadline=deadline)
    assert_nobody_reads()
    assert 0 < len(slide.read) < 16 + 6 + 3 * SLIDE_CONNECTIONS


def test_joining_ends_once_the_deadline_has_passed(mosaic):
    class PassedWhenJoining(Deadline):
        def check(self, doing):
            if doing == "joining the outlines":
                raise DeadlineExceeded(f"The time for this request ran out while {doing}.")

    with pytest.raises(DeadlineExceeded, match="joining"):
        segment(
            InMemory(mosaic, 1.0),
            rectangle(0, 0, 960, 880),
            limits=Limits(picture_px=200),
            deadline=PassedWhenJoining.after(60),
        )
    assert_nobody_reads()


def assert_nobody_reads():
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("tile", "sample"))]


@pytest.mark.parametrize("failing", [0, 5, 20, 30])
def test_picture_that_cannot_be_read_ends_it_all_with_its_error(mosaic, failing):
    class Failing(InMemory):
        def pixels_of(self, box, downsample):
            if len(self.read) > failing:
                raise Upstream("Slide Score answered with status 500 while reading the pixels.")
            return super().pixels_of(box, downsample)

    slide = Failing(mosaic, 1.0)
    with pytest.raises(Upstream, match="status 500"):
        segment(slide, rectangle(0, 0, 960, 880), limits=Limits(picture_px=100))
    assert_nobody_reads()
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


def test_small_region_is_read_once(mosaic):
    slide = InMemory(mosaic, 1.0)
    segment(slide, rectangle(5, 5, 200, 200), parameters=DarkRegionsParameters())
    assert slide.read == [Box(5, 5, 200, 200)]
