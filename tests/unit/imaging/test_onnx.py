"""A network run by OpenCV on pictures of any size, beside its convolution by scipy."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import models
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from scipy import ndimage

from annohooks.core.errors import Unavailable
from annohooks.imaging.onnx import Network

PATCH_PX = 32
KERNEL = np.random.default_rng(3).normal(size=(2, 3, 5, 5)).astype(np.float32)


def model(kernel=KERNEL):
    """One convolution from RGB to two scores, as ONNX."""
    node = helper.make_node("Conv", ["picture", "kernel"], ["output"], kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    sizes = ([1, channels, PATCH_PX, PATCH_PX] for channels in (2, 3))
    return models.onnx([node], {"kernel": kernel}, *sizes)


def network(content=None, **chosen):
    usual = {"classes": 2, "patch_px": PATCH_PX, "margin_px": 2}
    return Network(model() if content is None else content, "one.onnx", **usual | chosen)


def convolved(rgb):
    """The expected scores of a picture that is mirrored at its border, float64 [2, h, w]."""
    return np.stack(
        [
            sum(ndimage.correlate(rgb[..., c], kernel[c].astype(float), mode="mirror") for c in range(3))
            for kernel in KERNEL
        ]
    )


@given(st.integers(3, 90), st.integers(3, 90), st.integers(2, 15), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_the_position_of_the_patches(height, width, margin_px, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    scores = network(margin_px=margin_px).scores(picture)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(convolved(picture[..., ::-1] / 255), abs=1e-4)


def test_network_gets_the_grey_values_that_it_was_trained_with(tissue):
    picture = tissue[:40, :50]
    centred = network(scale=0.5, mean=(10, 20, 30)).scores(picture)
    assert centred == pytest.approx(convolved((picture[..., ::-1] - np.array([10.0, 20, 30])) * 0.5), abs=0.01)
    assert network(is_rgb=False).scores(picture) == pytest.approx(convolved(picture / 255), abs=1e-4)


def test_threads_that_share_a_network_do_not_get_each_others_scores(monkeypatch):
    """A thread that has set its input waits until the other is about to; with a lock the other cannot be."""
    shared = network()
    net, both = shared._net, threading.Barrier(2)

    class Slow:
        def setInput(self, blob):
            net.setInput(blob)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.2)

        def forward(self):
            return net.forward()

    monkeypatch.setattr(shared, "_net", Slow())
    pictures = [np.full((20, 20, 3), value, np.uint8) for value in (10, 240)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(shared.scores, pictures))
    for picture, scores in zip(pictures, results, strict=True):
        assert scores == pytest.approx(convolved(picture / 255), abs=1e-4)


@pytest.mark.parametrize(
    ("content", "classes", "message"),
    [
        (b"", 2, r'The model "one\.onnx" cannot be run on patches of 32 pixels'),
        (model()[:100], 2, r'The model "one\.onnx" cannot be run on patches of 32 pixels'),
        (model(KERNEL[:, :1]), 2, r'The model "one\.onnx" cannot be run on patches of 32 pixels'),
        (model(), 3, r"returns scores of the shape \(1, 2, 32, 32\), but \(1, 3, 32, 32\) is expected"),
    ],
    ids=["empty", "cut off", "for other channels", "for other classes"],
)
def test_model_that_cannot_be_used_is_named_with_the_reason(content, classes, message):
    with pytest.raises(Unavailable, match=message):
        network(content, classes=classes)


@pytest.mark.parametrize("margin_px", [-1, 16])
def test_margin_that_leaves_nothing_of_a_patch_is_a_mistake(margin_px):
    with pytest.raises(ValueError, match="leaves nothing of a patch of 32"):
        network(margin_px=margin_px)
