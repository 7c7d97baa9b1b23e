"""Which nuclei hold the brown of a DAB stain, and how much: percentage of positive ones and H-score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import BadRequest
from annohooks.imaging import nuclear, stains
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, Conclusion, ObjectClass, analyzer
from annohooks.imaging.analyzers.nuclei import NucleusParameters
from annohooks.imaging.decode import Picture
from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import BoolArray
from annohooks.imaging.outlines.contours import Mask

Location = Literal["nucleus", "cytoplasm or membrane"]

_RIM_UM = 3.0  # about a nucleus: of a cell, what is certainly its own
_LONGEST_UM = 30.0  # a nucleus is no longer; the mean of what is longer would differ from tile to tile


class DabPositivityParameters(NucleusParameters, frozen=True, kw_only=True):
    """What a user may choose for DAB positivity. Raises BadRequest if the thresholds do not rise."""

    location: Annotated[Location, msgspec.Meta(title="where the marker is")] = "nucleus"
    weak: Annotated[float, msgspec.Meta(title="weak (1+) from this DAB optical density", ge=0.01, le=3)] = 0.2
    moderate: Annotated[float, msgspec.Meta(title="moderate (2+) from this DAB optical density", ge=0.01, le=3)] = 0.4
    strong: Annotated[float, msgspec.Meta(title="strong (3+) from this DAB optical density", ge=0.01, le=3)] = 0.6

    def __post_init__(self) -> None:
        if not self.weak <= self.moderate <= self.strong:
            raise BadRequest("DAB positivity: the optical densities of weak, moderate and strong have to rise.")


@analyzer
class DabPositivity(Analyzer[DabPositivityParameters, tuple[float, ...]]):
    """Nuclei, each classed by the mean optical density of DAB: in it, or in it and the rim about it.

    Where the marker is in the nucleus, either stain makes one; where it is not, hematoxylin alone does. The default
    thresholds are those that QuPath's positive cell detection is usually run with ("DAB OD mean").
    Source: Ruifrok and Johnston 2001 (stains); McCarty et al. 1985 (H-score); Bankhead et al. 2017 (QuPath).
    """

    name = "dab_positivity"
    title = "DAB positivity"
    classes = (
        ObjectClass("negative nuclei", "#0050FF"),
        ObjectClass("weak (1+) nuclei", "#FFE000"),
        ObjectClass("moderate (2+) nuclei", "#FF8000"),
        ObjectClass("strong (3+) nuclei", "#E00000"),
    )
    shows = ("centres",)
    parameters = DabPositivityParameters
    mpp = 0.5
    coarsest_mpp = 1.0
    smallest_hole_um2 = nuclear.SPECK_UM2
    halo_um = nuclear.HALO_UM + _LONGEST_UM + _RIM_UM

    def calibrate(self, sample: Picture, mpp: float, parameters: DabPositivityParameters) -> tuple[float, ...]:
        """The optical density of each stain that makes a nucleus above which a pixel is nucleus; inf if none is.

        Of DAB no more than makes a nucleus positive, or the strong ones would hide the weak.
        """
        limits = [nuclear.limit(each, mpp) for each in _making_nuclei(stains.amounts(sample, "H-DAB"), parameters)]
        limits[stains.SECOND :] = [min(each, parameters.weak) for each in limits[stains.SECOND :]]
        return tuple(each / parameters.sensitivity for each in limits)

    def class_map(
        self, picture: Picture, mpp: float, parameters: DabPositivityParameters, calibration: tuple[float, ...]
    ) -> ClassMap:
        amounts = stains.amounts(picture, "H-DAB")
        found = nuclear.nuclei(_making_nuclei(amounts, parameters), calibration, mpp, parameters.separation)
        labels, measured = _cells(found, parameters.location, mpp)
        label = labels[measured]
        dab = np.bincount(label, amounts[stains.SECOND][measured]) / np.maximum(np.bincount(label), 1)
        grade = np.zeros(int(labels.max()) + 1, np.uint8)
        grade[: len(dab)] = 1 + np.digitize(dab, (parameters.weak, parameters.moderate, parameters.strong))
        grade[nuclear.lengths(found, labels) * mpp > _LONGEST_UM] = 0
        return np.where(found > 0, grade[labels], 0).astype(np.uint8, copy=False)

    def conclude(self, found: Sequence[Findings], parameters: DabPositivityParameters) -> Conclusion:
        counts = sum((findings.found for findings in found), np.zeros(len(self.classes), np.int64))
        total = int(counts.sum())
        if not total:
            return Conclusion("No nucleus was counted, so there is neither a percentage nor an H-score.")
        negative, weak, moderate, strong = (100 * counts / total).tolist()
        return Conclusion(
            f"{100 - negative:.1f} % positive: {negative:.1f} % negative, "
            f"{weak:.1f} % weak (1+), {moderate:.1f} % moderate (2+), {strong:.1f} % strong (3+); "
            f"H-score {weak + 2 * moderate + 3 * strong:.0f} of 300."
        )


def _making_nuclei(
    amounts: list[NDArray[np.float32]], parameters: DabPositivityParameters
) -> list[NDArray[np.float32]]:
    return amounts if parameters.location == "nucleus" else amounts[:1]


def _cells(found: Mask, location: Location, mpp: float) -> tuple[NDArray[np.int32], BoolArray]:
    """A label for each nucleus, and where its stain is measured: int32 and bool, [h, w] each.

    That is in the nucleus, or also in the rim about it as far as no other nucleus is nearer.
    """
    if location == "nucleus":
        _, labels = cv2.connectedComponents(found, connectivity=8, ltype=cv2.CV_32S)
        measured = found > 0
    else:
        outside = (found == 0).astype(np.uint8)
        away, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
        measured = away <= np.float32(_RIM_UM / mpp)
    return labels.astype(np.int32, copy=False), measured
