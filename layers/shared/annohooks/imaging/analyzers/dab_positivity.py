"""DAB positivity: nuclei by the amount of DAB in them, the percentage of positive nuclei, and the H-score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import BadRequest
from annohooks.imaging import nucleus_masks, stains
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, Conclusion, ObjectClass, analyzer
from annohooks.imaging.analyzers.nuclei import NucleusParameters
from annohooks.imaging.decode import Picture
from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import BoolArray
from annohooks.imaging.outlines.contours import Mask

Location = Literal["nucleus", "cytoplasm or membrane"]

_RIM_UM = 3.0  # the width of the rim around a nucleus that certainly belongs to the same cell
_LONGEST_UM = 30.0  # nuclei are not longer; the mean of a longer object would differ between tiles


class DabPositivityParameters(NucleusParameters, frozen=True, kw_only=True):
    """The parameters of DAB positivity. Raises BadRequest if the thresholds do not rise."""

    location: Annotated[Location, msgspec.Meta(title="where the marker is")] = "nucleus"
    weak: Annotated[float, msgspec.Meta(title="weak (1+) from this DAB optical density", ge=0.01, le=3)] = 0.2
    moderate: Annotated[float, msgspec.Meta(title="moderate (2+) from this DAB optical density", ge=0.01, le=3)] = 0.4
    strong: Annotated[float, msgspec.Meta(title="strong (3+) from this DAB optical density", ge=0.01, le=3)] = 0.6

    def __post_init__(self) -> None:
        if not self.weak <= self.moderate <= self.strong:
            raise BadRequest("DAB positivity: the optical densities of weak, moderate and strong have to rise.")


@analyzer
class DabPositivity(Analyzer[DabPositivityParameters, tuple[float, ...]]):
    """Nuclei, classified by the mean optical density of DAB in the nucleus, or in the nucleus and the rim around it.

    If the marker is in the nucleus, both stains show nuclei; otherwise only hematoxylin does. The default thresholds
    are those commonly used with QuPath's positive cell detection ("DAB OD mean").
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
    smallest_hole_um2 = nucleus_masks.SPECK_UM2
    halo_um = nucleus_masks.HALO_UM + _LONGEST_UM + _RIM_UM

    def calibrate(self, sample: Picture, mpp: float, parameters: DabPositivityParameters) -> tuple[float, ...]:
        """For each stain that shows nuclei the optical density above which a pixel is nucleus; inf without contrast.

        For DAB it is at most the density of a weak nucleus, because strong nuclei would raise it above the weak ones.
        """
        amounts = _nuclear_amounts(stains.amounts(sample, "H-DAB"), parameters)
        thresholds = [nucleus_masks.stain_threshold(amount, mpp) for amount in amounts]
        thresholds[stains.SECOND :] = [min(dab, parameters.weak) for dab in thresholds[stains.SECOND :]]
        return tuple(threshold / parameters.sensitivity for threshold in thresholds)

    def class_map(
        self, picture: Picture, mpp: float, parameters: DabPositivityParameters, calibration: tuple[float, ...]
    ) -> ClassMap:
        """See `Analyzer.class_map`."""
        amounts = stains.amounts(picture, "H-DAB")
        nuclei = nucleus_masks.nucleus_mask(
            _nuclear_amounts(amounts, parameters), calibration, mpp, parameters.separation
        )
        labels, measured = _cells(nuclei, parameters.location, mpp)
        label = labels[measured]
        dab = np.bincount(label, amounts[stains.SECOND][measured]) / np.maximum(np.bincount(label), 1)
        grade = np.zeros(int(labels.max()) + 1, np.uint8)
        grade[: len(dab)] = 1 + np.digitize(dab, (parameters.weak, parameters.moderate, parameters.strong))
        grade[nucleus_masks.longest_sides(nuclei, labels) * mpp > _LONGEST_UM] = 0
        return np.where(nuclei > 0, grade[labels], 0).astype(np.uint8, copy=False)

    def conclude(self, findings: Sequence[Findings], parameters: DabPositivityParameters) -> Conclusion:
        """See `Analyzer.conclude`."""
        counts = sum((region.object_counts for region in findings), np.zeros(len(self.classes), np.int64))
        total = int(counts.sum())
        if not total:
            return Conclusion("No nucleus was counted, so there is neither a percentage nor an H-score.")
        negative, weak, moderate, strong = (100 * counts / total).tolist()
        return Conclusion(
            f"{100 - negative:.1f} % positive: {negative:.1f} % negative, "
            f"{weak:.1f} % weak (1+), {moderate:.1f} % moderate (2+), {strong:.1f} % strong (3+); "
            f"H-score {weak + 2 * moderate + 3 * strong:.0f} of 300."
        )


def _nuclear_amounts(
    amounts: list[NDArray[np.float32]], parameters: DabPositivityParameters
) -> list[NDArray[np.float32]]:
    """The amounts of the stains that show nuclei."""
    return amounts if parameters.location == "nucleus" else amounts[:1]


def _cells(nuclei: Mask, location: Location, mpp: float) -> tuple[NDArray[np.int32], BoolArray]:
    """The label of the nearest nucleus, and which pixels are measured for it: int32 and bool, [h, w] each.

    These are the pixels of the nucleus, and also those of the rim around it if the marker is not in the nucleus.
    """
    if location == "nucleus":
        _, labels = cv2.connectedComponents(nuclei, connectivity=8, ltype=cv2.CV_32S)
        measured = nuclei > 0
    else:
        outside = (nuclei == 0).astype(np.uint8)
        distance, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
        measured = distance <= np.float32(_RIM_UM / mpp)
    return labels.astype(np.int32, copy=False), measured
