"""Cell nuclei by their stain. Touching nuclei are separated."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging import nucleus_masks, stains
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, ObjectClass, Parameters, analyzer
from annohooks.imaging.decode import Picture


class NucleusParameters(Parameters, frozen=True, kw_only=True):
    """The parameters of every analyzer that finds nuclei."""

    sensitivity: Annotated[float, msgspec.Meta(title="sensitivity, above 1 finds fainter nuclei", ge=0.2, le=5)] = 1.0
    separation: Annotated[
        float, msgspec.Meta(title="separation, towards 1 splits touching nuclei more", ge=0.3, le=0.98)
    ] = 0.75
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = nucleus_masks.SPECK_UM2
    largest_um2: Annotated[float, msgspec.Meta(title="largest area in um2, 0 for any", ge=0, le=1e12)] = 1000.0


class NucleiParameters(NucleusParameters, frozen=True, kw_only=True):
    """The parameters of nuclei. The marker is used for H-DAB only."""

    stain: Annotated[stains.Stain, msgspec.Meta(title="stain")] = "H&E"
    marker: Annotated[Literal["hematoxylin", "DAB", "either"], msgspec.Meta(title="nuclei stained by (H-DAB)")] = (
        "hematoxylin"
    )


N = TypeVar("N", bound=NucleiParameters)


class NucleiByStain(Analyzer[N, tuple[float, ...]]):
    """Stain separation, a threshold for the region and against the surroundings, then cuts at the necks.

    Source: Ruifrok and Johnston 2001 (stains); Otsu 1979; see also `imaging.nucleus_masks`.
    """

    mpp = 0.5
    coarsest_mpp = 1.0
    smallest_hole_um2 = nucleus_masks.SPECK_UM2
    halo_um = nucleus_masks.HALO_UM

    def calibrate(self, sample: Picture, mpp: float, parameters: N) -> tuple[float, ...]:
        """For each stain that shows nuclei the optical density above which a pixel is nucleus; inf without contrast."""
        thresholds = (nucleus_masks.stain_threshold(amount, mpp) for amount in _amounts(sample, parameters))
        return tuple(threshold / parameters.sensitivity for threshold in thresholds)

    def class_map(self, picture: Picture, mpp: float, parameters: N, calibration: tuple[float, ...]) -> ClassMap:
        """See `Analyzer.class_map`."""
        return nucleus_masks.nucleus_mask(_amounts(picture, parameters), calibration, mpp, parameters.separation)


@analyzer
class Nuclei(NucleiByStain[NucleiParameters]):
    """The nuclei that the chosen stain shows."""

    name = "nuclei"
    title = "Nuclei"
    classes = (ObjectClass("nuclei", "#00C800"),)
    parameters = NucleiParameters


def _amounts(picture: Picture, parameters: NucleiParameters) -> list[NDArray[np.float32]]:
    """The amounts of the stains that show nuclei, float32 [h, w] each."""
    if parameters.stain == "H&E" or parameters.marker == "hematoxylin":
        return [stains.amount(picture, parameters.stain, stains.FIRST)]
    if parameters.marker == "DAB":
        return [stains.amount(picture, "H-DAB", stains.SECOND)]
    return stains.amounts(picture, "H-DAB")
