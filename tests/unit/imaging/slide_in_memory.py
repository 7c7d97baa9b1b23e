"""A slide for segmentation that needs no server."""

from __future__ import annotations

import math
import threading

import numpy as np


class InMemory:
    """A slide as segmentation wants one, from uint8 BGR pixels. Keeps what was read, and how many read at once."""

    def __init__(self, pixels, mpp=0.5):
        self.pixels, self.mpp = pixels, mpp
        self.height, self.width = pixels.shape[:2]
        self.read = []
        self.most_at_once = 0
        self._reading = 0
        self._lock = threading.Lock()

    def picture(self, box, downsample):
        with self._lock:
            self.read.append(box)
            self._reading += 1
            self.most_at_once = max(self.most_at_once, self._reading)
        try:
            return self.pixels_of(box, downsample)
        finally:
            with self._lock:
                self._reading -= 1

    def pixels_of(self, box, downsample):
        """Means of downsample x downsample pixels; what sticks out beyond the slide repeats its edge."""
        assert box.x >= 0
        assert box.y >= 0
        assert box.right <= self.width
        assert box.bottom <= self.height
        part = self.pixels[box.y : box.bottom, box.x : box.right]
        rows, columns = math.ceil(box.height / downsample), math.ceil(box.width / downsample)
        missing = (0, rows * downsample - box.height), (0, columns * downsample - box.width), (0, 0)
        whole = np.pad(part, missing, mode="edge").reshape(rows, downsample, columns, downsample, 3)
        return np.rint(whole.mean(axis=(1, 3))).astype(np.uint8)
