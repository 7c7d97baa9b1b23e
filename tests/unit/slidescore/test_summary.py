"""The text: what was found, of each class, what it means, how it was read, and what is not shown."""

from __future__ import annotations

import pytest
from findings import Cells, findings, square

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.summary import summary

NUCLEI = ANALYZERS["nuclei"]
SOME = findings(square(100, 100, 20), square(300, 400, 10), area_um2=(31.25,))


def text(*found, analyzer=NUCLEI, is_mpp_known=True):
    return summary(analyzer, analyzer.conclude(found, analyzer.parameters()).sentence, found, is_mpp_known=is_mpp_known)


def test_number_area_and_share_are_summed_up():
    assert text(SOME) == (
        "Nuclei: 2 found, 31 um2 together, 15.6 um2 on average; 3.1 % of the region (1,000 um2). "
        "Analysed at 0.5 um per pixel."
    )


def test_nothing_found_says_where_was_looked():
    assert text(findings(area_um2=(0.0,))) == (
        "Nuclei: nothing found in the region (1,000 um2). Analysed at 0.5 um per pixel."
    )


def test_regions_are_summed_up_together_and_the_coarsest_resolution_is_named():
    said = text(
        SOME,
        findings(area_um2=(0.0,)),
        findings(square(1, 1, 9), area_um2=(68.75,), region_um2=2000.0, downsample=8),
    )
    assert "3 found, 100 um2 together, 33.3 um2 on average; 2.5 % of 3 regions (4,000 um2)." in said
    assert "Analysed at 2 um per pixel." in said


def test_region_without_a_pixel_has_no_share():
    assert "0.0 % of the region (0 um2)" in text(findings(square(1, 1, 9), region_um2=0.0))


def test_large_areas_are_told_in_square_millimetres_and_large_numbers_in_groups():
    said = text(findings(found=[12_345], area_um2=(250_000.0,), region_um2=99_999.0))
    assert "Nuclei: 12,345 found, 0.25 mm2 together, 20.3 um2 on average;" in said
    assert "(99,999 um2)" in said


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_assumed_pixel_size_is_admitted(mpp):
    found = findings(square(1, 1, 9), slide_mpp=mpp)
    said = f"The slide does not say how large its pixels are: {mpp} um assumed."
    assert text(found, is_mpp_known=False).endswith(said)
    assert "assumed" not in text(found)


# Classes


def test_several_classes_are_counted_one_by_one():
    found = findings(square(1, 1, 9), classes=[2], found=[1200, 1], area_um2=(90_000.0, 20.0), region_um2=400_000.0)
    assert text(found, analyzer=Cells()).startswith(
        "Cells: 1,201 found, 90,020 um2 together, 75.0 um2 on average; 22.5 % of the region (0.40 mm2). "
        "Of these, 1,200 positive cells, 1 negative cells. "
    )


def test_several_classes_are_not_listed_when_nothing_was_found():
    assert "Of these" not in text(findings(area_um2=(0.0, 0.0)), analyzer=Cells())


# What it means, and what is not shown


def test_what_the_analyzer_says_stands_between_the_numbers_and_the_resolution():
    class Telling(Cells):
        says = "A tenth of them is positive."

    said = text(findings(square(1, 1, 9), area_um2=(1.0, 0.0)), analyzer=Telling())
    assert "0 negative cells. A tenth of them is positive. Analysed at" in said


def test_what_is_counted_but_not_shown_is_said():
    one, two = findings(square(1, 1, 9), found=[1500]), findings(square(1, 1, 9), square(9, 9, 9), found=[3])
    said = text(one, two)
    assert "1,503 found" in said
    assert said.endswith("That is more than can be shown: the largest 3 that fit are, the other 1,500 only counted.")
    assert "more than can be shown" not in text(SOME)
