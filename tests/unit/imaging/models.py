"""Small ONNX models."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CELL_PX = 16
WIDTH, HEIGHT = 128, 96


def onnx(nodes, constants, shape, inputs=(1, 3, HEIGHT, WIDTH)):
    """The bytes of a model from "picture" to "output" of a shape. constants: float32 by name, int64 if integers."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("picture", inputs), ("output", shape))
    ]
    stored = [
        numpy_helper.from_array(value if value.dtype == np.int64 else value.astype(np.float32), name)
        for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "model", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def grid(side=float(CELL_PX)):
    """The centre and size of each cell, [N, 4], in pixels."""
    y, x = np.mgrid[: HEIGHT // CELL_PX, : WIDTH // CELL_PX].reshape(2, -1)
    return np.stack([(x + 0.5) * CELL_PX, (y + 0.5) * CELL_PX, np.full(len(x), side), np.full(len(x), side)], axis=1)


def detector(form, classes=2, factor=1.0, side=float(CELL_PX)):
    """A detector of a format that finds the red and blue cells of a grid. factor: of all confidences."""
    cells = grid(side)
    number = len(cells)
    kernel = np.full((2, 3, CELL_PX, CELL_PX), -1 / CELL_PX**2)
    kernel[0, 0] = kernel[1, 2] = 1 / CELL_PX**2
    constants = {"kernel": np.concatenate([kernel] * 2)[:classes], "factor": np.full((1, 1, 1, 1), factor)}
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["cells"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2),
        helper.make_node("Relu", ["cells"], ["unscaled"]),
        helper.make_node("Mul", ["unscaled", "factor"], ["positive"]),
        helper.make_node("Reshape", ["positive", "shape"], ["scores"]),
    ]
    if form == "ssd":
        corners = np.hstack([cells[:, :2] - cells[:, 2:] / 2, cells[:, :2] + cells[:, 2:] / 2])
        kinds = np.stack([np.zeros(classes * number), np.repeat(np.arange(classes), number)], axis=1)
        constants["places"] = np.tile(corners / [WIDTH, HEIGHT, WIDTH, HEIGHT], (classes, 1))[None, None]
        constants["kinds"] = kinds[None, None]
        constants["shape"] = np.array([1, 1, classes * number, 1])
        nodes.append(helper.make_node("Concat", ["kinds", "scores", "places"], ["output"], axis=3))
        return onnx(nodes, constants, [1, 1, classes * number, 7])
    constants["shape"] = np.array([1, classes, number])
    if form == "yolov8":
        constants["places"] = cells.T[None]
        nodes.append(helper.make_node("Concat", ["places", "scores"], ["output"], axis=1))
        return onnx(nodes, constants, [1, 4 + classes, number])
    constants["places"] = np.concatenate([cells.T, np.ones((1, number))])[None]
    nodes += [
        helper.make_node("Concat", ["places", "scores"], ["columns"], axis=1),
        helper.make_node("Transpose", ["columns"], ["output"], perm=[0, 2, 1]),
    ]
    return onnx(nodes, constants, [1, number, 5 + classes])
