"""What an analyzer is: calibrate once per region, then a mask from each picture of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import cv2
import msgspec
import numpy as np

from annohooks.imaging.contours import Mask
from annohooks.imaging.decode import Picture
from annohooks.imaging.outlines import FloatArray


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose for any analyzer. `title` is the question's text; bounds and unit stand beside it."""

    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 10.0
    largest_um2: Annotated[float, msgspec.Meta(title="largest area in um2, 0 for any", ge=0, le=1e12)] = 0.0


P = TypeVar("P", bound=Parameters)
C = TypeVar("C")


class Analyzer(ABC, Generic[P, C]):
    """Finds objects in pictures. Stateless: one instance serves every request.

    P: its parameters; C: what calibrate() learns from a sample and mask() uses in every tile of the region, so that
    tiles agree with each other.
    """

    name: ClassVar[str]
    """How settings and requests call it, [a-z_]+."""
    title: ClassVar[str]
    """How a pathologist reads it."""
    color: ClassVar[str]
    """Of its outlines in the viewer, #RRGGBB."""
    parameters: ClassVar[type[Any]]
    """The class P."""
    mpp: ClassVar[float]
    """Resolution it works at, micrometres per pixel; a finer slide is read at the level nearest to it."""
    coarsest_mpp: ClassVar[float]
    """Where its objects can no longer be told apart."""
    smallest_hole_um2: ClassVar[float]
    """Holes below this are filled."""
    halo_um: ClassVar[float]
    """How far from a pixel others may lie that decide about it; tiles overlap by this much, and join exactly."""

    @abstractmethod
    def calibrate(self, sample: Picture, mpp: float, parameters: P) -> C:
        """What holds for the whole region. sample: uint8 BGR [h, w, 3], the region or pieces of it side by side."""

    @abstractmethod
    def mask(self, picture: Picture, mpp: float, parameters: P, calibration: C) -> Mask:
        """Objects in a picture, uint8 [h, w], 0 or 255. Two objects must not touch, not even diagonally."""


def histogram(values: Mask, counted: Mask | None = None) -> FloatArray:
    """How many pixels have each of the 256 values, float64 [256].

    values: uint8 [h, w]. counted: uint8 [h, w], 0 where a pixel does not count; all do when left out.
    """
    return cv2.calcHist([values], [0], counted, [256], [0, 256]).ravel().astype(np.float64)


def otsu_threshold(counts: FloatArray, least_contrast: float) -> int | None:
    """Otsu's threshold, or None when the two classes' means are closer than least_contrast: nothing stands out.

    counts: of the values from 0 on. The lower class is up to and with the threshold. Source: Otsu 1979.
    """
    value = np.arange(len(counts))
    below, below_sum = np.cumsum(counts), np.cumsum(counts * value)
    above, above_sum = below[-1] - below, below_sum[-1] - below_sum
    valid = (below > 0) & (above > 0)
    if not valid.any():
        return None
    gap = np.zeros(len(counts))
    gap[valid] = above_sum[valid] / above[valid] - below_sum[valid] / below[valid]
    best = int(np.argmax(below * above * gap**2))
    return best if gap[best] >= least_contrast else None
