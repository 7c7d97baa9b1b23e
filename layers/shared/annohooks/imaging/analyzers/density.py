"""The density of nuclei, as a heatmap."""

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
    """The parameters of the density of nuclei."""

    cell_um: Annotated[float, msgspec.Meta(title="side of a cell of the map in um", ge=5, le=5000)] = 50.0
    smoothing_um: Annotated[float, msgspec.Meta(title="smoothing radius in um, 0 for none", ge=0, le=500)] = 0.0


@analyzer
class Density(NucleiByStain[DensityParameters]):
    """Nuclei per mm2, in square cells."""

    name = "density"
    title = "Density of nuclei"
    classes = (ObjectClass("nuclei", "#00C800"),)
    shows = ()
    parameters = DensityParameters

    def conclude(self, findings: Sequence[Findings], parameters: DensityParameters) -> Conclusion:
        """The map, and a sentence that explains its colours; no map if no nucleus was found."""
        if not any(len(region.outlines) for region in findings):
            return Conclusion("No nucleus was found, so there is no map.")
        slide_mpp = findings[0].slide_mpp
        centres = np.concatenate([region.outlines.centroids() for region in findings])
        regions = [region.region for region in findings]
        density = density_map(centres, regions, parameters.cell_um, slide_mpp, parameters.smoothing_um)
        nuclei = sum(int(region.object_counts.sum()) for region in findings)
        mean_per_mm2 = nuclei / sum(region.region_um2 for region in findings) * 1e6
        requested_px = max(1, round(parameters.cell_um / slide_mpp))
        text = (
            f"{mean_per_mm2:,.0f} nuclei per mm2 on average; the map's cells are {_um(density.cell_px * slide_mpp)} "
            f"wide, its brightest colour stands for {density.per_mm2:,.0f} per mm2."
        )
        if parameters.smoothing_um:
            text += f" It is smoothed over {_um(parameters.smoothing_um)}."
        if density.cell_px > requested_px:
            text += f" Cells of {_um(requested_px * slide_mpp)} would be too many for a region of this size."
        if left_out := sum(region.left_out for region in findings):
            text += (
                f" The map leaves out the {left_out:,} smallest nuclei, because there are too many to trace them all."
            )
        return Conclusion(text, density)


def _um(length: float) -> str:
    return f"{length:,.0f} um" if length >= 10 else f"{length:.1f} um"
