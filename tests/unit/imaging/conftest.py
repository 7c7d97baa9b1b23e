"""The real picture, a mosaic of it, empty glass, the nuclei that scikit-image finds, and videos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scenes
from scipy import ndimage
from skimage import color, feature, filters, measure, morphology, segmentation

from local import slides


@pytest.fixture(scope="session")
def tissue():
    """The immunohistochemistry field, uint8 BGR [512, 512, 3], 0.5 um per pixel."""
    return np.ascontiguousarray(slides.immunohistochemistry().pixels[..., ::-1])


@pytest.fixture(scope="session")
def glass():
    """Empty glass with a camera's noise, uint8 BGR [600, 700, 3]."""
    return np.ascontiguousarray(slides.blank(700, 600).pixels[..., ::-1])


@pytest.fixture(scope="session")
def mosaic():
    """The field mirrored to uint8 BGR [900, 1000, 3]."""
    return np.ascontiguousarray(slides.mosaic(1000, 900).pixels[..., ::-1])


@pytest.fixture(scope="session")
def nuclei_of_scikit_image(tissue):
    """Labels of nuclei by another method, int [h, w]: a local threshold of hematoxylin, watershed of the depth."""
    amount = filters.gaussian(color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)[..., 0], 1.5)
    dark = (amount > filters.threshold_otsu(amount)) & (amount > filters.threshold_local(amount, 65))
    dark = morphology.remove_small_objects(morphology.opening(dark, morphology.disk(1)), max_size=32)
    depth = filters.gaussian(ndimage.distance_transform_edt(dark), 1)
    seeds = np.zeros(dark.shape, int)
    peaks = feature.peak_local_max(depth, min_distance=5, labels=measure.label(dark))
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-depth, seeds, mask=dark)


@pytest.fixture
def undecoded(monkeypatch):
    """Fails the test if a picture is decoded."""
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("decoded"))


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A hundred pictures in each kind of file, by its suffix."""
    folder = tmp_path_factory.mktemp("videos")
    return {
        kind: scenes.written(folder / f"hundred.{kind}", scenes.passing(100), codec=codec)
        for kind, codec in scenes.CODECS.items()
    }


@pytest.fixture
def captures(monkeypatch):
    """The captures that OpenCV has opened, each with the number of its calls. `grabs` limits the frames they give."""
    opened = []

    class Counted:
        grabs = 10**9

        def __init__(self, *arguments):
            self.inner = cv2_capture(*arguments)
            self.grabbed = self.retrieved = self.sought = 0
            self.released = False
            opened.append(self)

        def grab(self):
            self.grabbed += 1
            return self.grabbed <= self.grabs and self.inner.grab()

        def retrieve(self):
            self.retrieved += 1
            return self.inner.retrieve()

        def set(self, what, value):
            self.sought += what == cv2.CAP_PROP_POS_FRAMES
            return self.inner.set(what, value)

        def release(self):
            self.released = True
            self.inner.release()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr("cv2.VideoCapture", Counted)
    return opened
