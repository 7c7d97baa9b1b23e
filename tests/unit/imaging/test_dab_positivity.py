"""Negative, weak, moderate and strong nuclei: on the real picture beside scikit-image, and on discs of known stain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import color, feature, filters, measure, morphology, segmentation
from slide_in_memory import InMemory
from test_segmentation import rectangle

from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.imaging import nucleus_masks
from annohooks.imaging.analyzers.dab_positivity import DabPositivity, DabPositivityParameters
from annohooks.imaging.segmentation import Limits, segment

ANALYZER = DabPositivity()
MPP = 0.5
HEMATOXYLIN, DAB = np.array((0.650, 0.704, 0.286)), np.array((0.268, 0.570, 0.776))
NEGATIVE, WEAK, MODERATE, STRONG = 1, 2, 3, 4


def found(picture, **chosen):
    parameters = DabPositivityParameters(**chosen)
    return ANALYZER.class_map(picture, MPP, parameters, ANALYZER.calibrate(picture, MPP, parameters))


def findings(picture, limits=None, analyzer=ANALYZER, mpp=MPP, **chosen):
    slide = InMemory(picture, mpp)
    region = rectangle(0, 0, slide.width, slide.height)
    return segment(slide, region, analyzer, DabPositivityParameters(**chosen), Deadline.after(60), limits or Limits())


def sentence(result, **chosen):
    return ANALYZER.conclude(result, DabPositivityParameters(**chosen)).sentence


def counts(class_map):
    """Nuclei of each class."""
    return [cv2.connectedComponents((class_map == k).astype(np.uint8), connectivity=8)[0] - 1 for k in range(1, 5)]


def light(hematoxylin, dab):
    """What light these amounts of stain let through, uint8 BGR."""
    density = hematoxylin[..., None] * HEMATOXYLIN + dab[..., None] * DAB
    return np.clip(np.rint(256 * 10**-density - 1), 0, 255).astype(np.uint8)[..., ::-1]


def discs(dabs, hematoxylin=0.25, radius=8, background=0.0):
    """A row of nuclei with these optical densities of DAB."""
    blue, brown = np.full((60, 40 * len(dabs)), 0.02), np.full((60, 40 * len(dabs)), background)
    y, x = np.indices(blue.shape)
    for k, dab in enumerate(dabs):
        inside = np.hypot(x - 20 - 40 * k, y - 30) <= radius
        blue[inside], brown[inside] = hematoxylin, dab
    return light(blue, brown)


# The real picture


@pytest.fixture(scope="module")
def dab_of_scikit_image(tissue):
    """Optical density of DAB, in decadic units as ours; scikit-image's are of log(10^6)."""
    return 6 * color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)[..., 1]


@pytest.mark.parametrize("location", ["nucleus", "cytoplasm or membrane"])
def test_class_of_each_nucleus_is_what_its_mean_stain_by_scikit_image_says(tissue, dab_of_scikit_image, location):
    """The rim is grown by scikit-image, too."""
    class_map = found(tissue, location=location)
    labels = sum(
        np.where(class_map == k, 10_000 * k + measure.label(class_map == k, connectivity=2), 0) for k in range(1, 5)
    )
    measured = labels if location == "nucleus" else segmentation.expand_labels(labels, distance=3 / MPP)
    nuclei = measure.regionprops(measured, dab_of_scikit_image)
    assert len(nuclei) > 300
    theirs = np.array([1 + np.digitize(each.intensity_mean, (0.2, 0.4, 0.6)) for each in nuclei])
    ours = np.array([each.label // 10_000 for each in nuclei])
    assert (theirs == ours).mean() == pytest.approx(0.98, abs=0.006)  # as docs/analyzers.md has it
    assert set(ours) == {NEGATIVE, WEAK, MODERATE, STRONG}


def test_percentages_of_the_real_picture_are_about_those_of_another_way_to_find_nuclei(tissue, dab_of_scikit_image):
    """Another way: local threshold of scikit-image's hematoxylin, watershed of the distance to the edge."""
    hematoxylin = filters.gaussian(color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)[..., 0], 1.5)
    dark = (hematoxylin > filters.threshold_otsu(hematoxylin)) & (
        hematoxylin > filters.threshold_local(hematoxylin, 65)
    )
    dark = morphology.remove_small_objects(morphology.opening(dark, morphology.disk(1)), max_size=32)
    depth = filters.gaussian(ndimage.distance_transform_edt(dark), 1)
    peaks = feature.peak_local_max(depth, min_distance=5, labels=measure.label(dark))
    seeds = np.zeros(dark.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    cells = segmentation.expand_labels(segmentation.watershed(-depth, seeds, mask=dark), distance=3 / MPP)
    means = np.array([each.intensity_mean for each in measure.regionprops(cells, dab_of_scikit_image)])
    theirs = 100 * np.bincount(np.digitize(means, (0.2, 0.4, 0.6)), minlength=4) / len(means)
    result = findings(tissue, location="cytoplasm or membrane")
    ours = 100 * result.object_counts / result.object_counts.sum()
    assert result.object_counts.sum() == pytest.approx(len(means), rel=0.25)
    assert ours == pytest.approx(theirs, abs=8)
    h_scores = ours @ [0, 1, 2, 3], theirs @ [0, 1, 2, 3]
    assert h_scores == pytest.approx((116, 123), abs=1)  # as docs/analyzers.md has it


def test_glands_are_positive_and_stroma_is_negative(tissue):
    """In the field a gland fills the upper left, stroma the lower right."""
    class_map = found(tissue, location="cytoplasm or membrane")
    gland, stroma = counts(class_map[:220, 20:250]), counts(class_map[300:, 400:])
    assert gland[0] <= 0.05 * sum(gland)
    assert stroma[0] >= 0.95 * sum(stroma)


@pytest.fixture(scope="module")
def restained(tissue):
    """The stroma of the field, whose nuclei are blue, and the same with the nuclei of its lower half stained brown."""
    stroma = tissue[300:, 400:]
    stains = 6 * color.separate_stains(stroma[..., ::-1], color.hdx_from_rgb)
    blue, brown = stains[..., 0].copy(), stains[..., 1].copy()
    brown[106:], blue[106:] = 3 * blue[106:], 0.1
    return stroma, np.where(np.arange(len(stroma))[:, None, None] < 106, stroma, light(blue, brown))


def test_nuclei_of_real_stroma_are_negative_and_positive_once_stained_brown(restained):
    before, after = (found(picture) for picture in restained)
    assert counts(before[110:])[0] > 0.95 * sum(counts(before[110:]))
    assert counts(after[110:])[0] < 0.1 * sum(counts(after[110:]))
    assert counts(after[:102])[0] > 0.9 * sum(counts(after[:102]))
    assert sum(counts(after)) == pytest.approx(sum(counts(before)), rel=0.2)


# Discs of known stain


def test_discs_are_classed_by_their_optical_density():
    class_map = found(discs([0, 0.1, 0.3, 0.5, 0.8, 1.1]))
    assert class_map.dtype == np.uint8
    assert class_map[30, 20::40].tolist() == [NEGATIVE, NEGATIVE, WEAK, MODERATE, STRONG, STRONG]
    assert counts(class_map) == [2, 1, 1, 2]


def test_thresholds_are_the_users():
    picture = discs([0, 0.1, 0.3, 0.5, 0.8, 1.1])
    class_map = found(picture, weak=0.05, moderate=0.4, strong=0.9)
    assert class_map[30, 20::40].tolist() == [NEGATIVE, WEAK, WEAK, MODERATE, MODERATE, STRONG]


def test_strong_nuclei_hide_neither_weak_nor_negative_ones():
    """Weak ones that hold no hematoxylin are above no more than DAB's limit, and strong ones would raise Otsu's."""
    brown, blue = discs(20 * [1.2] + [0.25], hematoxylin=0.0), discs([0.0])
    assert counts(found(np.hstack([brown, blue]))) == [1, 1, 0, 20]


def test_more_sensitivity_finds_fainter_nuclei_by_either_stain():
    faint = np.hstack([discs([0.9, 0.9, 0.14], hematoxylin=0.0), discs([0, 0]), discs([0], hematoxylin=0.08)])
    numbers = [counts(found(faint, sensitivity=sensitivity)) for sensitivity in (1, 1.5, 2)]
    assert numbers == [[2, 0, 0, 2], [3, 0, 0, 2], [4, 0, 0, 2]]


def test_brown_background_is_no_nucleus():
    assert counts(found(discs([0.0, 0.9, 0.0, 0.9], background=0.12))) == [2, 0, 0, 2]


def test_where_the_marker_is_not_in_the_nucleus_its_surroundings_class_it():
    y, x = np.indices((120, 240))
    away = np.minimum(np.hypot(x - 60, y - 60), np.hypot(x - 180, y - 60))
    blue = np.where(away <= 8, 0.3, 0.02)
    brown = np.where((away > 8) & (away <= 16) & (x < 120), 0.7, 0.0)
    picture = light(blue, brown)
    class_map = found(picture, location="cytoplasm or membrane")
    assert class_map[60, 180] == NEGATIVE
    assert class_map[60, 60] in (MODERATE, STRONG)
    assert sum(counts(class_map)) == 2


def test_thresholds_that_do_not_rise_are_refused_in_words():
    with pytest.raises(BadRequest, match="weak, moderate and strong have to rise"):
        DabPositivityParameters(weak=0.5)


# Tiles


@pytest.mark.parametrize("location", ["nucleus", "cytoplasm or membrane"])
@pytest.mark.parametrize(("mpp", "picture_px"), [(0.5, 512), (0.25, 700), (0.9, 300)])
def test_nuclei_in_tiles_are_those_in_one_piece(mosaic, location, mpp, picture_px):
    class Fixed(DabPositivity):
        def calibrate(self, sample, mpp, parameters):
            return (0.11, 0.3) if location == "nucleus" else (0.11,)

    whole = findings(mosaic, analyzer=Fixed(), mpp=mpp, location=location)
    tiled = findings(mosaic, Limits(picture_px), Fixed(), mpp, location=location)
    assert (whole.object_counts > 0).all()
    assert_same_class_by_class(tiled, whole)


@pytest.mark.parametrize("location", ["nucleus", "cytoplasm or membrane"])
def test_halo_beyond_that_of_nuclei_holds_all_of_a_nucleus_and_its_rim(location):
    """Tiles begin within nuclei 28 um long whose stain is at their ends, or about these."""
    row, column = np.indices((60, 900))
    away, near = np.abs(column % 90 - 45), np.abs(row - 30) <= 5
    nucleus, end = near & (away <= 28), near & (away > 14) & (away <= (28 if location == "nucleus" else 33))
    picture = light(np.where(nucleus, 0.4, 0.02), np.where(end, 1.0, 0.0))

    class Fixed(DabPositivity):
        halo_um = DabPositivity.halo_um - nucleus_masks.HALO_UM

        def calibrate(self, sample, mpp, parameters):
            return (0.11, 0.3) if location == "nucleus" else (0.11,)

    whole = findings(picture, analyzer=Fixed(), location=location, separation=0.3)
    assert whole.object_counts.sum() == 10
    for picture_px in range(300, 340, 7):
        tiled = findings(picture, Limits(picture_px), Fixed(), location=location, separation=0.3)
        assert_same_class_by_class(tiled, whole)


def assert_same_class_by_class(tiled, whole):
    assert np.array_equal(tiled.object_counts, whole.object_counts)
    assert np.array_equal(tiled.area_um2, whole.area_um2)
    assert np.array_equal(tiled.classes, whole.classes)
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(tiled.outlines, array), getattr(whole.outlines, array)), array


def test_sheets_wider_than_any_nucleus_are_not_classed():
    picture = np.hstack([discs([0.5]), light(np.full((60, 200), 0.3), np.full((60, 200), 0.5)), discs([0.5])])
    class_map = found(picture)
    assert counts(class_map) == [0, 0, 2, 0]


# What is said


def test_sentence_tells_percentages_and_h_score():
    result = findings(discs([0, 0, 0, 0, 0.3, 0.5, 0.5, 0.8]))
    assert result.object_counts.tolist() == [4, 1, 2, 1]
    assert sentence([result]) == (
        "50.0 % positive: 50.0 % negative, 12.5 % weak (1+), 25.0 % moderate (2+), "
        "12.5 % strong (3+); H-score 100 of 300."
    )


def test_sentence_counts_all_regions_together():
    one, other = findings(discs([0, 0.8])), findings(discs([0.8, 0.8]))
    assert "75.0 % positive" in sentence([one, other])
    assert "H-score 225 of 300" in sentence([one, other])


def test_nothing_counted_is_said(glass):
    result = findings(glass)
    assert result.object_counts.tolist() == [0, 0, 0, 0]
    assert sentence([result]) == "No nucleus was counted, so there is neither a percentage nor an H-score."


def test_what_is_shown_is_the_centres_in_four_colours():
    assert ANALYZER.shows == ("centres",)
    assert len({each.color for each in ANALYZER.classes}) == 4
