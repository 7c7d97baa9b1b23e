"""A network of OpenCV's over pictures of any size, beside its convolution by scipy."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from scipy import ndimage

from annohooks.core.errors import Unavailable
from annohooks.imaging.onnx import Network

PATCH_PX = 32
KERNEL = np.random.default_rng(3).normal(size=(2, 3, 5, 5)).astype(np.float32)


def model(kernel=KERNEL, patch_px=PATCH_PX):
    """One convolution, uint8 RGB as float32 to two scores, as ONNX."""
    node = helper.make_node("Conv", ["picture", "kernel"], ["scores"], kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, patch_px, patch_px])
        for name, channels in (("picture", 3), ("scores", 2))
    ]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [numpy_helper.from_array(kernel, "kernel")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def network(**chosen):
    usual = {"classes": 2, "patch_px": PATCH_PX, "margin_px": 2}
    return Network(model(), "one.onnx", **usual | chosen)


def convolved(rgb):
    """What the network should give, of a picture mirrored at its border, float64 [2, h, w]."""
    return np.stack(
        [
            sum(ndimage.correlate(rgb[..., c], kernel[c].astype(float), mode="mirror") for c in range(3))
            for kernel in KERNEL
        ]
    )


@settings(deadline=None)
@given(st.integers(3, 90), st.integers(3, 90), st.integers(2, 15), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_where_patches_lie(height, width, margin_px, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    scores = network(margin_px=margin_px).scores(picture)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(convolved(picture[..., ::-1] / 255), abs=1e-4)


def test_grey_values_are_scaled_as_the_network_wants_them(tissue):
    picture = tissue[:40, :50]
    centred = network(scale=0.5, mean=(10, 20, 30)).scores(picture)
    assert centred == pytest.approx(convolved((picture[..., ::-1] - np.array([10.0, 20, 30])) * 0.5), abs=0.01)
    blue_first = network(is_rgb=False).scores(picture)
    assert blue_first == pytest.approx(convolved(picture / 255), abs=1e-4)


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
        scores = list(pool.map(shared.scores, pictures))
    for picture, each in zip(pictures, scores, strict=True):
        assert each == pytest.approx(convolved(picture / 255), abs=1e-4)


@pytest.mark.parametrize("broken", [b"", b"no model at all", model()[:100], model()[100:]])
def test_what_is_no_model_is_named_and_said(broken):
    with pytest.raises(Unavailable, match=r'The model "one\.onnx" cannot be run on patches of 32 pixels'):
        Network(broken, "one.onnx", classes=2, patch_px=PATCH_PX, margin_px=2)


def test_model_of_other_classes_is_told_from_what_was_expected():
    with pytest.raises(Unavailable, match=r"returns scores of the shape \(1, 2, 32, 32\), but \(1, 3, 32, 32\) is"):
        network(classes=3)


def test_model_for_other_channels_cannot_be_run():
    with pytest.raises(Unavailable, match=r'The model "grey\.onnx" cannot be run'):
        Network(model(KERNEL[:, :1]), "grey.onnx", classes=2, patch_px=PATCH_PX, margin_px=2)


@pytest.mark.parametrize("margin_px", [-1, 16, 40])
def test_margin_that_leaves_nothing_of_a_patch_is_a_mistake(margin_px):
    with pytest.raises(ValueError, match="leaves nothing of a patch of 32"):
        network(margin_px=margin_px)
