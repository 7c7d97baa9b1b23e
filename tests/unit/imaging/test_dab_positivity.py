"""DAB positivity: on the real picture beside scikit-image, and on discs of known stain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from analysed import InMemory, assert_same, class_map, segment
from skimage import color, measure, segmentation

from annohooks.core.errors import BadRequest
from annohooks.imaging import nucleus_masks
from annohooks.imaging.analyzers.dab_positivity import DabPositivity, DabPositivityParameters
from annohooks.imaging.segmentation import Limits

ANALYZER = DabPositivity()
MPP = 0.5
HEMATOXYLIN, DAB = np.array((0.650, 0.704, 0.286)), np.array((0.268, 0.570, 0.776))
NEGATIVE, WEAK, MODERATE, STRONG = 1, 2, 3, 4
LOCATIONS = ("nucleus", "cytoplasm or membrane")


class Fixed(DabPositivity):
    """With fixed thresholds, so that tiles and one picture have the same."""

    def calibrate(self, sample, mpp, parameters):
        return (0.11, 0.3) if parameters.location == "nucleus" else (0.11,)


def classes(picture, **chosen):
    return class_map(ANALYZER, picture, MPP, DabPositivityParameters(**chosen))


def findings(picture, limits=None, analyzer=ANALYZER, mpp=MPP, **chosen):
    return segment(InMemory(picture, mpp), None, analyzer, DabPositivityParameters(**chosen), limits)


def sentence(*results):
    return ANALYZER.conclude(results, DabPositivityParameters()).sentence


def counts(nuclei):
    """The number of nuclei of each class."""
    return [cv2.connectedComponents((nuclei == k).astype(np.uint8), connectivity=8)[0] - 1 for k in range(1, 5)]


def light(hematoxylin, dab):
    """The light that these amounts of stain let through, uint8 BGR."""
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
    """The optical density of DAB. scikit-image's values are in units of log(10^6)."""
    return 6 * color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)[..., 1]


@pytest.mark.parametrize("location", LOCATIONS)
def test_class_of_a_nucleus_is_that_of_its_mean_stain_by_scikit_image(tissue, dab_of_scikit_image, location):
    """scikit-image also grows the rim."""
    nuclei = classes(tissue, location=location)
    labels = sum(np.where(nuclei == k, 10_000 * k + measure.label(nuclei == k, connectivity=2), 0) for k in range(1, 5))
    measured = labels if location == "nucleus" else segmentation.expand_labels(labels, distance=3 / MPP)
    regions = measure.regionprops(measured, dab_of_scikit_image)
    assert len(regions) > 300
    theirs = np.array([1 + np.digitize(region.intensity_mean, (0.2, 0.4, 0.6)) for region in regions])
    ours = np.array([region.label // 10_000 for region in regions])
    assert (theirs == ours).mean() == pytest.approx(0.98, abs=0.006)  # as docs/analyzers.md says
    assert set(ours) == {NEGATIVE, WEAK, MODERATE, STRONG}


def test_percentages_are_similar_for_nuclei_of_another_method(tissue, dab_of_scikit_image, nuclei_of_scikit_image):
    cells = segmentation.expand_labels(nuclei_of_scikit_image, distance=3 / MPP)
    means = np.array([region.intensity_mean for region in measure.regionprops(cells, dab_of_scikit_image)])
    theirs = 100 * np.bincount(np.digitize(means, (0.2, 0.4, 0.6)), minlength=4) / len(means)
    result = findings(tissue, location="cytoplasm or membrane")
    ours = 100 * result.object_counts / result.object_counts.sum()
    assert result.object_counts.sum() == pytest.approx(len(means), rel=0.25)
    assert ours == pytest.approx(theirs, abs=8)
    h_scores = ours @ [0, 1, 2, 3], theirs @ [0, 1, 2, 3]
    assert h_scores == pytest.approx((116, 123), abs=1)  # as docs/analyzers.md says


# Discs of known stain


CHOSEN = {"weak": 0.05, "moderate": 0.4, "strong": 0.9}


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({}, [NEGATIVE, NEGATIVE, WEAK, MODERATE, STRONG, STRONG]),
        (CHOSEN, [NEGATIVE, WEAK, WEAK, MODERATE, MODERATE, STRONG]),
    ],
    ids=["default", "chosen"],
)
def test_discs_are_classified_by_their_optical_density(thresholds, expected):
    nuclei = classes(discs([0, 0.1, 0.3, 0.5, 0.8, 1.1]), **thresholds)
    assert nuclei.dtype == np.uint8
    assert nuclei[30, 20::40].tolist() == expected
    assert counts(nuclei) == [expected.count(k) for k in range(1, 5)]


def test_strong_nuclei_hide_neither_weak_nor_negative_ones():
    """Weak nuclei without hematoxylin are just above the limit of DAB; strong ones would raise Otsu's threshold."""
    brown, blue = discs(20 * [1.2] + [0.25], hematoxylin=0.0), discs([0.0])
    assert counts(classes(np.hstack([brown, blue]))) == [1, 1, 0, 20]


def test_more_sensitivity_finds_fainter_nuclei_by_either_stain():
    faint = np.hstack([discs([0.9, 0.9, 0.14], hematoxylin=0.0), discs([0, 0]), discs([0], hematoxylin=0.08)])
    numbers = [counts(classes(faint, sensitivity=sensitivity)) for sensitivity in (1, 1.5, 2)]
    assert numbers == [[2, 0, 0, 2], [3, 0, 0, 2], [4, 0, 0, 2]]
    assert counts(classes(discs([0.0, 0.9, 0.0, 0.9], background=0.12))) == [2, 0, 0, 2]  # a brown background is none


def test_surroundings_classify_a_nucleus_if_the_marker_is_not_in_it():
    y, x = np.indices((120, 240))
    distance = np.minimum(np.hypot(x - 60, y - 60), np.hypot(x - 180, y - 60))
    blue = np.where(distance <= 8, 0.3, 0.02)
    brown = np.where((distance > 8) & (distance <= 16) & (x < 120), 0.7, 0.0)
    nuclei = classes(light(blue, brown), location="cytoplasm or membrane")
    assert nuclei[60, 180] == NEGATIVE
    assert nuclei[60, 60] in (MODERATE, STRONG)
    assert sum(counts(nuclei)) == 2


def test_thresholds_that_do_not_rise_are_refused_in_words():
    with pytest.raises(BadRequest, match="weak, moderate and strong have to rise"):
        DabPositivityParameters(weak=0.5)


def test_objects_wider_than_any_nucleus_are_not_classified():
    sheet = light(np.full((60, 200), 0.3), np.full((60, 200), 0.5))
    assert counts(classes(np.hstack([discs([0.5]), sheet, discs([0.5])]))) == [0, 0, 2, 0]


# Tiles


@pytest.mark.parametrize(
    ("location", "mpp", "picture_px"),
    [
        ("nucleus", 0.9, 420),
        ("cytoplasm or membrane", 0.5, 700),
        pytest.param("nucleus", 0.9, 300, marks=pytest.mark.thorough),
        pytest.param("cytoplasm or membrane", 0.25, 700, marks=pytest.mark.thorough),
    ],
)
def test_nuclei_in_tiles_are_those_in_one_picture(mosaic, location, mpp, picture_px):
    whole = findings(mosaic, analyzer=Fixed(), mpp=mpp, location=location)
    assert (whole.object_counts > 0).all()
    assert_same(findings(mosaic, Limits(picture_px), Fixed(), mpp, location=location), whole)


@pytest.mark.parametrize("location", LOCATIONS)
def test_the_halo_contains_a_whole_nucleus_and_its_rim(location):
    """Tiles begin within nuclei 28 um long with stain only at, or around, their ends."""
    row, column = np.indices((60, 900))
    distance, is_near = np.abs(column % 90 - 45), np.abs(row - 30) <= 5
    end_px = 28 if location == "nucleus" else 33
    nucleus, end = is_near & (distance <= 28), is_near & (distance > 14) & (distance <= end_px)
    picture = light(np.where(nucleus, 0.4, 0.02), np.where(end, 1.0, 0.0))

    class WithoutNuclearHalo(Fixed):
        halo_um = DabPositivity.halo_um - nucleus_masks.HALO_UM

    chosen = {"location": location, "separation": 0.3, "analyzer": WithoutNuclearHalo()}
    whole = findings(picture, **chosen)
    assert whole.object_counts.sum() == 10
    for picture_px in range(300, 340, 13):
        assert_same(findings(picture, Limits(picture_px), **chosen), whole)


# The sentence


def test_sentence_gives_percentages_and_h_score_of_all_regions_together(glass):
    result = findings(discs([0, 0, 0, 0, 0.3, 0.5, 0.5, 0.8]))
    assert result.object_counts.tolist() == [4, 1, 2, 1]
    assert sentence(result) == (
        "50.0 % positive: 50.0 % negative, 12.5 % weak (1+), 25.0 % moderate (2+), "
        "12.5 % strong (3+); H-score 100 of 300."
    )
    together = sentence(findings(discs([0, 0.8])), findings(discs([0.8, 0.8])))
    assert "75.0 % positive" in together
    assert "H-score 225 of 300" in together
    nothing = "No nucleus was counted, so there is neither a percentage nor an H-score."
    assert sentence(findings(glass)) == nothing
