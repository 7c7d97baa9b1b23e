"""The text of an answer: counts, areas, the analyzer's conclusion, the resolution, and what is not shown."""

from __future__ import annotations

import pytest
from findings import Cells, findings, square

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.summary import summary

NUCLEI = ANALYZERS["nuclei"]
TWO = findings(square(100, 100, 20), square(300, 400, 10), area_um2=(31.25,))


def text(*regions, analyzer=NUCLEI, is_mpp_known=True):
    sentence = analyzer.conclude(regions, analyzer.parameters()).sentence
    return summary(analyzer, sentence, regions, is_mpp_known=is_mpp_known)


def test_one_region_is_summed_up():
    assert text(TWO) == (
        "Nuclei: 2 found, 31 um2 together, 15.6 um2 on average; 3.1 % of the region (1,000 um2). "
        "Analysed at 0.5 um per pixel."
    )


def test_a_region_without_objects_is_named_with_its_area():
    assert text(findings(area_um2=(0.0,))) == (
        "Nuclei: nothing found in the region (1,000 um2). Analysed at 0.5 um per pixel."
    )


def test_several_regions_are_summed_up_together_with_the_coarsest_resolution():
    coarse = findings(square(1, 1, 9), area_um2=(68.75,), region_um2=2000.0, downsample=8)
    summed_up = text(TWO, findings(area_um2=(0.0,)), coarse)
    assert "3 found, 100 um2 together, 33.3 um2 on average; 2.5 % of 3 regions (4,000 um2)." in summed_up
    assert "Analysed at 2 um per pixel." in summed_up


def test_a_region_without_a_pixel_has_no_share():
    assert "0.0 % of the region (0 um2)" in text(findings(square(1, 1, 9), region_um2=0.0))


def test_large_areas_are_in_square_millimetres_and_large_numbers_in_groups():
    summed_up = text(findings(found=[12_345], area_um2=(250_000.0,), region_um2=99_999.0))
    assert "Nuclei: 12,345 found, 0.25 mm2 together, 20.3 um2 on average;" in summed_up
    assert "(99,999 um2)" in summed_up


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_an_assumed_pixel_size_is_stated(mpp):
    region = findings(square(1, 1, 9), slide_mpp=mpp)
    assert text(region, is_mpp_known=False).endswith(f"The slide does not state its pixel size; {mpp} um is assumed.")
    assert "assumed" not in text(region)


def test_the_number_of_each_class_is_listed_if_there_are_several():
    two_classes = {"area_um2": (90_000.0, 20.0), "region_um2": 400_000.0}
    assert text(findings(square(1, 1, 9), classes=[2], found=[1200, 1], **two_classes), analyzer=Cells()).startswith(
        "Cells: 1,201 found, 90,020 um2 together, 75.0 um2 on average; 22.5 % of the region (0.40 mm2). "
        "Of these, 1,200 positive cells, 1 negative cells. "
    )
    assert "Of these" not in text(findings(area_um2=(0.0, 0.0)), analyzer=Cells())


def test_the_analyzers_conclusion_stands_between_the_counts_and_the_resolution():
    class Concluding(Cells):
        sentence = "A tenth of them is positive."

    summed_up = text(findings(square(1, 1, 9), area_um2=(1.0, 0.0)), analyzer=Concluding())
    assert "0 negative cells. A tenth of them is positive. Analysed at" in summed_up


def test_the_number_of_objects_that_are_not_shown_is_stated():
    one, two = findings(square(1, 1, 9), found=[1500]), findings(square(1, 1, 9), square(9, 9, 9), found=[3])
    summed_up = text(one, two)
    assert "1,503 found" in summed_up
    assert summed_up.endswith("Only the largest 3 are shown. Counted but not shown: 1,500.")
    assert "not shown" not in text(TWO)
