"""The YAML file in which a deployment describes its detectors. Reading it needs neither OpenCV nor NumPy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import yaml

from annohooks.core import yaml_marks
from annohooks.core.errors import SettingsError
from annohooks.core.yaml_marks import YamlError

Format = Literal["yolov5", "yolov8", "ssd"]
Confidence = Annotated[float, msgspec.Meta(title="least confidence", ge=0, le=1)]

_MAX_CHARACTERS = 256_000
_FIELD = re.compile(r" - at `(?:key in )?\$\.?(\w*)[^`]*`$")
# Errors of PyYAML for a value that looks like a date or a number and is none, and for a list as a key.
_UNREADABLE = (yaml.YAMLError, ValueError, OverflowError)
_UNKNOWN = re.compile(r"unknown field `(.*)`$")


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One detector of the file.

    name: lower case letters, digits and _. title: as a person reads it; without it, the name. model: the model's key in
    the bucket for models. sha256: of the model, in hexadecimal; without it, any model is accepted. format: the output
    for N boxes and C labels. yolov5 is [1, N, 5 + C], yolov8 is [1, 4 + C, N], both with centre and size in pixels of
    the input; ssd is [1, 1, N, 7], with corners from 0 to 1. width_px, height_px: the input; a picture is fitted in for
    YOLO and stretched for SSD. labels: by number of class. least_confidence: if a request does not give another.
    most_overlap: of two boxes of one label, as intersection over union. scale, mean, is_rgb: mean is subtracted from
    the grey values, in the order of colours that the model takes; scale multiplies the difference.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$")]
    title: str = ""
    model: Annotated[str, msgspec.Meta(min_length=1)]
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{64})?$")] = ""
    format: Format
    width_px: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 640
    height_px: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 640
    labels: Annotated[list[str], msgspec.Meta(min_length=1)]
    least_confidence: Confidence = 0.25
    most_overlap: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.45
    scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_rgb: bool = True


def read(text: str) -> Iterator[tuple[int, Description]]:
    """Each description of a YAML text, and the line where it begins. The text is `detectors:` and a list.

    Raises SettingsError naming the line and the field when the iteration reaches a mistake.
    """
    if len(text) > _MAX_CHARACTERS:
        raise SettingsError(f"detectors: more than {_MAX_CHARACTERS} characters")
    names = set()
    for node in _mappings(text):
        line, description = node.start_mark.line + 1, _description(node)
        if description.name in names:
            raise name_taken(line, description.name)
        names.add(description.name)
        yield line, description


def name_taken(line: int, name: str) -> SettingsError:
    """The error for a description that has the name of another detector or analyzer."""
    return SettingsError(f"detectors: line {line}: name: there is another {name!r}")


def _mappings(text: str) -> Iterator[yaml.MappingNode]:
    """The YAML mapping of each detector."""
    try:
        root = yaml_marks.compose(text)
    except YamlError as error:
        line, _, problem = error.mistakes[0]
        raise SettingsError(f"detectors: line {line}: {problem}") from None
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    if [key.value for key, _ in entries] != ["detectors"] or not isinstance(entries[0][1], yaml.SequenceNode):
        raise SettingsError("detectors: line 1: expected `detectors:` and a list")
    for node in entries[0][1].value:
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(node, "a detector has to be a mapping")
        yield node


def _description(node: yaml.MappingNode) -> Description:
    """The description in a mapping, in which a mistake is found with its line."""
    values: dict[str, Any] = {}
    nodes: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(key, "a name has to be a text")
        name = str(key.value)
        if name in nodes:
            raise _wrong(key, f"{name}: it occurs twice")
        nodes[name] = value
        try:
            values[name] = yaml.SafeLoader("").construct_object(value, deep=True)  # type: ignore[no-untyped-call]
        except _UNREADABLE:
            raise _wrong(value, f"{name}: it cannot be read") from None
        if not _is_finite(values[name]):
            raise _wrong(value, f"{name}: not a finite number")
    try:
        return msgspec.convert(values, Description)
    except msgspec.ValidationError as error:
        message = str(error)
        path, unknown = _FIELD.search(message), _UNKNOWN.search(message)
        field = path[1] if path else unknown[1] if unknown else ""
        raise _wrong(nodes.get(field, node), f"{field}: {_FIELD.sub('', message)}" if field else message) from None


def _wrong(node: yaml.Node, problem: str) -> SettingsError:
    return SettingsError(f"detectors: line {yaml_marks.position(node)[0]}: {problem}")


def _is_finite(value: Any) -> bool:
    """Whether a number, or each number of a list, is finite. Other values count as finite."""
    values = value if isinstance(value, list) else [value]
    return all(math.isfinite(number) for number in values if isinstance(number, float))
