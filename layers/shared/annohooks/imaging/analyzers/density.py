"""Where nuclei are crowded, as a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from annohooks.imaging.analyzers.base import ObjectClass, analyzer
from annohooks.imaging.analyzers.nuclei import NucleiByStain, NucleiParameters
from annohooks.imaging.density import DensityMap, density_map
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

    def density(self, found: Sequence[Findings], parameters: DensityParameters) -> DensityMap | None:
        """The map; None when no nucleus was found."""
        if not any(len(findings.outlines) for findings in found):
            return None
        centres = np.concatenate([findings.outlines.centroids() for findings in found])
        regions = [findings.region for findings in found]
        return density_map(centres, regions, parameters.cell_um, found[0].slide_mpp, parameters.smoothing_um)

    def sentence(self, found: Sequence[Findings], parameters: DensityParameters) -> str:
        drawn = self.density(found, parameters)
        if drawn is None:
            return "No nucleus was found, so there is no map."
        mean = sum(int(each.found.sum()) for each in found) / sum(each.region_um2 for each in found) * 1e6
        cell_um = drawn.cell_px * found[0].slide_mpp
        asked_um = max(1, round(parameters.cell_um / found[0].slide_mpp)) * found[0].slide_mpp
        text = (
            f"{mean:,.0f} nuclei per mm2 on average; the map's cells are {cell_um:.3g} um wide, its brightest colour "
            f"stands for {drawn.per_mm2:,.0f} per mm2."
        )
        if parameters.smoothing_um:
            text += f" It is smoothed over {parameters.smoothing_um:.3g} um."
        if cell_um > asked_um:
            text += f" Cells of {asked_um:.3g} um would be too many for a region of this size."
        if left_out := sum(each.left_out for each in found):
            text += f" The map leaves out {left_out} nuclei, the smallest: there are too many to trace them all."
        return text
