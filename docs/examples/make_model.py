"""Makes stain_pixels.onnx, a network that recognises brown pixels. Colour deconvolution is its teacher.

    .venv/bin/python docs/examples/make_model.py stain_pixels.onnx

It prints the sha256 of the model, for the analyzer. The training picture is the immunohistochemistry field that
scikit-image ships, and scikit-image says which of its pixels are brown. The mean of 3 x 3 pixels goes through two
layers of 1 x 1 convolutions, which gradient descent in NumPy fits. The weights are rounded, so that every machine makes
the same bytes.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skimage import color, data

PATCH_PX = 256
HIDDEN = 12
BROWN = 0.15  # optical density of DAB above which a pixel is stained


def brown(rgb):
    """Which pixels are brown, bool [h, w], in a picture uint8 RGB [h, w, 3]."""
    stains = color.separate_stains(rgb, color.hdx_from_rgb)  # optical densities, divided by 6
    return 6 * stains[..., 1] > BROWN


def fitted(pixels, stained, rounds=1500, rate=0.02):
    """Weights and biases of two layers, by Adam on the logistic loss. pixels: [n, 3], 0 to 1. stained: bool [n]."""
    random = np.random.default_rng(1)
    layers = [random.normal(0, 1, (3, HIDDEN)), np.zeros(HIDDEN), random.normal(0, 0.3, (HIDDEN, 1)), np.zeros(1)]
    first, second = [np.zeros_like(layer) for layer in layers], [np.zeros_like(layer) for layer in layers]
    for step in range(1, rounds + 1):
        batch = random.integers(0, len(pixels), 2000)
        x, target = pixels[batch] - 0.5, stained[batch, None]
        weights, bias, out, out_bias = layers
        hidden = np.maximum(x @ weights + bias, 0)
        error = (1 / (1 + np.exp(-(hidden @ out + out_bias))) - target) / len(x)
        back = (error @ out.T) * (hidden > 0)
        slopes = [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
        for layer, slope, mean, square in zip(layers, slopes, first, second, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.01 * (slope**2 - square)
            layer -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return [np.round(layer, 3) for layer in layers]


def model(layers):
    """An ONNX model: RGB [1, 3, PATCH_PX, PATCH_PX], 0 to 1, to the scores [1, 2, ...] of unstained and stained."""
    weights, bias, out, out_bias = layers
    mean = np.einsum("ij,kl->ijkl", np.eye(3), np.full((3, 3), 1 / 9))
    tensors = {
        "mean": mean,
        "weights": weights.T[..., None, None],
        "bias": bias - 0.5 * weights.sum(0),
        "out": np.stack([np.zeros(HIDDEN), out[:, 0]])[..., None, None],
        "out_bias": np.array([0, out_bias[0]]),
    }
    nodes = [
        helper.make_node("Conv", ["picture", "mean"], ["smooth"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["smooth", "weights", "bias"], ["layer"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["layer"], ["hidden"]),
        helper.make_node("Conv", ["hidden", "out", "out_bias"], ["scores"], kernel_shape=[1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "stain_pixels",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, PATCH_PX, PATCH_PX])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, PATCH_PX, PATCH_PX])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(network)
    return network.SerializeToString()


def trained():
    """The bytes of a newly trained model."""
    rgb = data.immunohistochemistry()
    return model(fitted(rgb.reshape(-1, 3) / 255, brown(rgb).ravel()))


if __name__ == "__main__":
    content = trained()
    Path(sys.argv[1]).write_bytes(content)
    print(hashlib.sha256(content).hexdigest())
