"""Where nuclei are crowded, as a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from annohooks.imaging.analyzers.base import Conclusion, ObjectClass, analyzer
from annohooks.imaging.analyzers.nuclei import NucleiByStain, NucleiParameters
from annohooks.imaging.density import density_map
from annohooks.imaging.findings import Findings


class DensityParameters(NucleiParameters, frozen=True, kw_only=True):
    """What a user may choose for the density of nuclei."""

    cell_um: Annotated[float, msgspec.Meta(title="side of a cell of the map in um", ge=5, le=5000)] = 50.0
    smoothing_um: Annotated[float, msgspec.Meta(title="smoothing radius in um, 0 for none", ge=0, le=500)] = 0.0


@analyzer
class Density(NucleiByStain[DensityParameters]):
    """Nuclei per mm2, counted in square cells."""

    name = "density"
    title = "Density of nuclei"
    classes = (ObjectClass("nuclei", "#00C800"),)
    shows = ()
    parameters = DensityParameters

    def conclude(self, found: Sequence[Findings], parameters: DensityParameters) -> Conclusion:
        """The map and what its colours stand for; no map when no nucleus was found."""
        if not any(len(findings.outlines) for findings in found):
            return Conclusion("No nucleus was found, so there is no map.")
        slide_mpp, regions = found[0].slide_mpp, [findings.region for findings in found]
        centres = np.concatenate([findings.outlines.centroids() for findings in found])
        drawn = density_map(centres, regions, parameters.cell_um, slide_mpp, parameters.smoothing_um)
        mean = sum(int(each.found.sum()) for each in found) / sum(each.region_um2 for each in found) * 1e6
        asked_px = max(1, round(parameters.cell_um / slide_mpp))
        text = (
            f"{mean:,.0f} nuclei per mm2 on average; the map's cells are {_um(drawn.cell_px * slide_mpp)} wide, its "
            f"brightest colour stands for {drawn.per_mm2:,.0f} per mm2."
        )
        if parameters.smoothing_um:
            text += f" It is smoothed over {_um(parameters.smoothing_um)}."
        if drawn.cell_px > asked_px:
            text += f" Cells of {_um(asked_px * slide_mpp)} would be too many for a region of this size."
        if left_out := sum(each.left_out for each in found):
            text += f" The map leaves out {left_out:,} nuclei, the smallest: there are too many to trace them all."
        return Conclusion(text, drawn)


def _um(length: float) -> str:
    return f"{length:,.0f} um" if length >= 10 else f"{length:.1f} um"
