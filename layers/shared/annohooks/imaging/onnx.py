"""A convolutional network from an ONNX model, run by OpenCV on pictures of any size."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import Unavailable
from annohooks.imaging.decode import Picture


class Network:
    """Computes scores of several classes for each pixel. Create one per process and model.

    The model takes float32 [1, 3, patch_px, patch_px] and returns float32 [1, classes, patch_px, patch_px].
    """

    def __init__(
        self,
        model: bytes,
        name: str,
        *,
        classes: int,
        patch_px: int,
        margin_px: int,
        scale: float = 1 / 255,
        mean: tuple[float, float, float] = (0, 0, 0),
        is_rgb: bool = True,
    ) -> None:
        """model: the content of an ONNX file. name: for error messages.

        margin_px: the distance up to which other pixels influence the scores of a pixel. mean: is subtracted from the
        grey values, in the order of colours that the network takes. scale: multiplies the difference.
        Raises Unavailable if OpenCV cannot read or run the model, or the model returns another shape; ValueError if
        the margins leave nothing of a patch.
        """
        if not 0 <= 2 * margin_px < patch_px:
            raise ValueError(f"a margin of {margin_px} leaves nothing of a patch of {patch_px}")
        self._patch_px, self._margin_px = patch_px, margin_px
        self._scale, self._mean, self._is_rgb = scale, mean, is_rgb
        self._classes = classes
        self._lock = threading.Lock()  # a network holds its input and its results
        expected = (1, classes, patch_px, patch_px)
        try:
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
            shape = self._forward(np.zeros((patch_px, patch_px, 3), np.uint8)).shape
        except cv2.error as error:
            raise Unavailable(f'The model "{name}" cannot be run on patches of {patch_px} pixels.') from error
        if shape != expected:
            raise Unavailable(f'The model "{name}" returns scores of the shape {shape}, but {expected} is expected.')

    def scores(self, picture: Picture) -> NDArray[np.float32]:
        """The scores, float32 [classes, h, w], of a picture, uint8 BGR [h, w, 3], reflected at its border.

        Patches overlap by the margin, and only their inner part is used. If the network does not stride, the position
        of the patches changes nothing but rounding.
        """
        height, width = picture.shape[:2]
        margin, inner = self._margin_px, self._patch_px - 2 * self._margin_px
        below, right = (margin + -side % inner for side in (height, width))
        padded = cv2.copyMakeBorder(picture, margin, below, margin, right, cv2.BORDER_REFLECT_101)
        scores = np.empty((self._classes, height + below - margin, width + right - margin), np.float32)
        for row in range(0, height, inner):
            for column in range(0, width, inner):
                patch = padded[row : row + self._patch_px, column : column + self._patch_px]
                inside = self._forward(patch)[0, :, margin : margin + inner, margin : margin + inner]
                scores[:, row : row + inner, column : column + inner] = inside
        return scores[:, :height, :width]

    def _forward(self, patch: cv2.typing.MatLike) -> NDArray[np.float32]:
        blob = cv2.dnn.blobFromImage(patch, self._scale, mean=self._mean, swapRB=self._is_rgb)
        with self._lock:
            self._net.setInput(blob)
            return self._net.forward().astype(np.float32)
