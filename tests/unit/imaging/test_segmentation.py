"""Regions in tiles have the outlines of the region in one picture."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from analysed import InMemory, assert_same, rectangle, segment
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.analyzers.base import ObjectClass
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.region import Region, Shape
from annohooks.imaging.segmentation import Limits

REGION = rectangle(13, 27, 961, 853)
HEMATOXYLIN_BGR = np.array((0.286, 0.704, 0.650))
thorough = pytest.mark.thorough


class NucleiAt(Nuclei):
    """With a fixed threshold, so that tiles and one picture have the same."""

    def __init__(self, level):
        self.level = level

    def calibrate(self, sample, mpp, parameters):
        return (self.level / 255,) * (2 if parameters.marker == "either" else 1)


class ByShade(DarkRegions):
    """Two classes, one of which lies within the other."""

    classes = (ObjectClass("dark", "#000000"), ObjectClass("darker", "#0000FF"))

    def class_map(self, picture, mpp, parameters, calibration):
        shade = cv2.GaussianBlur(picture[..., 1], (5, 5), 0)
        return (shade < 150).astype(np.uint8) + (shade < 110)


@pytest.mark.parametrize(("mpp", "downsample", "picture_px"), [(1.0, 1, 129), (0.5, 2, 200), (1.0, 1, 333)])
def test_dark_regions_in_tiles_are_those_in_one_picture(mosaic, mpp, downsample, picture_px):
    slide = InMemory(mosaic, mpp)
    whole = segment(slide, REGION)
    assert (whole.downsample, len(slide.read)) == (downsample, 1)
    assert_same(segment(slide, REGION, limits=Limits(picture_px)), whole)
    assert len(slide.read) > 6


@pytest.mark.parametrize(
    ("marker", "mpp", "downsample", "picture_px"),
    [
        ("hematoxylin", 0.5, 1, 477),
        ("either", 0.25, 2, 477),
        pytest.param("either", 0.5, 1, 300, marks=thorough),
    ],
)
def test_nuclei_in_tiles_are_those_in_one_picture(mosaic, marker, mpp, downsample, picture_px):
    slide, parameters = InMemory(mosaic, mpp), NucleiParameters(stain="H-DAB", marker=marker, separation=0.9)
    whole = segment(slide, REGION, NucleiAt(27.0), parameters)
    assert whole.downsample == downsample
    assert len(whole.outlines) > 50
    assert_same(segment(slide, REGION, NucleiAt(27.0), parameters, Limits(picture_px)), whole)
    assert len(slide.read) >= 1 + 2 * 2


@pytest.mark.parametrize(
    ("seed", "size_px", "separation", "height", "width"),
    [(2, 40, 0.9, 560, 600), pytest.param(4, 20, 0.98, 860, 930, marks=thorough)],
)
def test_sheets_of_stain_wider_than_the_halo_join_too(seed, size_px, separation, height, width):
    random = np.random.default_rng(seed)
    field = cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), size_px)
    density = (field > 0.3 * field.std()) * 1.2
    light = 245 * 10 ** -(density[..., None] * HEMATOXYLIN_BGR) + random.normal(0, 2, (height, width, 1))
    slide, region = InMemory(np.clip(light, 0, 255).astype(np.uint8), 0.5), rectangle(7, 5, width - 19, height - 17)
    parameters = NucleiParameters(stain="H-DAB", separation=separation, largest_um2=0)
    whole = segment(slide, region, NucleiAt(60.0), parameters)
    assert_same(segment(slide, region, NucleiAt(60.0), parameters, Limits(picture_px=331)), whole)


def test_classes_are_told_apart_in_tiles_as_in_one_picture(mosaic):
    slide = InMemory(mosaic, 1.0)
    whole = segment(slide, REGION, ByShade())
    assert len(np.unique(whole.classes)) == 2
    assert_same(segment(slide, REGION, ByShade(), limits=Limits(129)), whole)
    for number in (1, 2):
        one_class = whole.outlines.take(whole.classes == number)
        assert one_class.is_outer.sum() == whole.object_counts[number - 1]


def test_freely_drawn_shapes_are_analysed_in_tiles_as_in_one_picture(mosaic):
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    star = 450 + (300 + 140 * np.cos(9 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    speck = 400.0 + np.array([(0, 0), (2, 0), (2, 2), (0, 2)])
    brush = Shape((star,), (star / 4 + 300, speck))
    slide, region = InMemory(mosaic, 1.0), Region(brush.box, (brush,))
    whole = segment(slide, region, limits=Limits(1000))
    assert len(slide.read) == 1
    assert_same(segment(slide, region, limits=Limits(129)), whole)


@pytest.mark.parametrize(("objects", "vertices"), [(20, 10**6), (10**6, 500)])
def test_the_largest_of_too_many_objects_are_outlined_and_all_are_counted(mosaic, objects, vertices):
    slide = InMemory(mosaic, 1.0)
    everything = segment(slide, REGION)
    assert everything.left_out == 0
    largest = segment(slide, REGION, limits=Limits(objects=objects, vertices=vertices))
    assert 0 < largest.outlines.is_outer.sum() <= objects
    assert len(largest.outlines.xy) <= vertices
    assert largest.left_out == everything.outlines.is_outer.sum() - largest.outlines.is_outer.sum() > 0
    assert (largest.object_counts, largest.area_um2) == (everything.object_counts, everything.area_um2)
    assert_same(segment(slide, REGION, limits=Limits(129, objects=objects, vertices=vertices)), largest)


def test_memory_is_that_of_the_tiles_in_flight_and_not_of_the_region():
    """It is less than the smallest mask of the region, one byte for each pixel."""
    pixels = np.full((2048, 2048, 3), 230, np.uint8)
    pixels[500:1500, 700:1300] = pixels[1700:1800] = 40
    segment(InMemory(pixels, 1.0), rectangle(0, 0, 512, 512), limits=Limits(picture_px=100))  # what is loaded once
    tracemalloc.start()
    findings = segment(InMemory(pixels, 1.0), limits=Limits(picture_px=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert findings.area_um2 == 1000 * 600 + 100 * 2048
    assert peak < 2048 * 2048


def test_tiles_share_one_calibration_of_a_sample_that_is_spread_over_the_region(mosaic):
    slide, samples, calibrations = InMemory(mosaic, 1.0), [], set()

    class Watching(DarkRegions):
        def calibrate(self, sample, mpp, parameters):
            samples.append((sample.shape, slide.read.copy()))
            return super().calibrate(sample, mpp, parameters)

        def class_map(self, picture, mpp, parameters, calibration):
            calibrations.add(calibration)
            return super().class_map(picture, mpp, parameters, calibration)

    segment(slide, rectangle(10, 20, 950, 850), Watching(), DarkRegionsParameters(), Limits(900))
    ((shape, boxes),) = samples
    assert shape == (480, 16 * 480, 3)
    assert (min(box.x for box in boxes), min(box.y for box in boxes)) == (10, 20)
    assert (max(box.right for box in boxes), max(box.bottom for box in boxes)) == (960, 870)
    assert len(calibrations) == 1
    assert len(slide.read) > len(boxes) + 1


@given(st.integers(60, 700), st.tuples(*4 * [st.floats(0, 1)]), st.sampled_from([0.25, 0.5, 1.0]))
def test_pictures_are_within_the_limit_and_cover_the_region(side, fractions, mpp):
    """They also lie on the slide, which the slide in memory checks."""
    x, y = (int(fraction * (side - 50)) for fraction in fractions[:2])
    width, height = (8 + int(fraction * (side - at - 8)) for fraction, at in zip(fractions[2:], (x, y), strict=True))
    slide = InMemory(np.full((side, side, 3), 100, np.uint8), mpp)
    parameters = DarkRegionsParameters(threshold=255, smallest_um2=0)
    findings = segment(slide, rectangle(x, y, width, height), parameters=parameters, limits=Limits(picture_px=200))
    for box in slide.read:
        assert math.ceil(max(box.width, box.height) / findings.downsample) <= 200
    if min(width, height) >= 4 * findings.downsample:  # the opening removes thinner regions
        assert findings.area_um2 == findings.region_um2


@pytest.mark.parametrize("mpp", [0.18, 0.25, 0.36, 0.5, 0.7])
def test_pictures_for_nuclei_are_within_the_smallest_limit_a_deployment_may_set(mpp):
    """With the halo, at any resolution at which nuclei are searched."""

    class Nowhere(NucleiAt):
        def class_map(self, picture, mpp, parameters, calibration):
            return np.zeros(picture.shape[:2], np.uint8)

    slide = InMemory(np.zeros((2048, 2048, 3), np.uint8), mpp)
    findings = segment(slide, None, Nowhere(0), NucleiParameters(), Limits(picture_px=512))
    assert len(slide.read) > 4
    assert max(max(box.width, box.height) for box in slide.read) <= 512 * findings.downsample
