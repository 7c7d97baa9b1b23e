"""The YAML file that describes the detectors a deployment brings, read without what runs them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import yaml

from annohooks.core.errors import SettingsError

Format = Literal["yolov5", "yolov8", "ssd"]
Confidence = Annotated[float, msgspec.Meta(title="least confidence", ge=0, le=1)]

_MOST_CHARACTERS = 256_000
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(\w*)[^`]*`$")
# What PyYAML raises for a value that its own tag does not fit; a list within itself never ends.
_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)
_UNKNOWN = re.compile(r"unknown field `(.*)`$")


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A detector, as the file has it.

    name: lower case letters, digits and _. title: as a person reads it, the name when left out. model: its key in the
    bucket for models. sha256: of the model, in hexadecimal; not looked at when left out. format: what it gives, for N
    boxes and C labels: yolov5 [1, N, 5 + C], yolov8 [1, 4 + C, N], both centre and size in pixels of what it takes, or
    ssd [1, 1, N, 7], corners in 0..1. width_px, height_px: what it takes; pictures are fitted in for YOLO, stretched
    for SSD. labels: by number of class. least_confidence: unless a request says another. most_overlap: of two boxes of
    one label, as intersection over union. scale, mean, is_rgb: mean is taken off the grey values, in the order the
    model wants the colours in, and scale multiplies what is left.
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
    """Each description of a YAML text, `detectors:` and a list, and the line it begins in.

    Raises SettingsError naming the line and the field, as late as the mistake is come to.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SettingsError(f"detectors: more than {_MOST_CHARACTERS} characters")
    names = set()
    for node in _listed(text):
        line, description = node.start_mark.line + 1, _described(node)
        if description.name in names:
            raise taken(line, description.name)
        names.add(description.name)
        yield line, description


def taken(line: int, name: str) -> SettingsError:
    """The mistake of a description that has the name of another."""
    return SettingsError(f"detectors: line {line}: name: there is another {name!r}")


def _listed(text: str) -> Iterator[yaml.MappingNode]:
    """The mapping of each detector."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SettingsError(f"detectors: line {line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError:
        raise SettingsError("detectors: not YAML: no such character") from None
    except RecursionError:
        raise SettingsError(f"detectors: line {loader.line + 1}: nested too deeply") from None
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    if [key.value for key, _ in entries] != ["detectors"] or not isinstance(entries[0][1], yaml.SequenceNode):
        raise SettingsError("detectors: line 1: it has to be `detectors:`, and a list")
    for node in entries[0][1].value:
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(node, "a detector has to be a mapping")
        yield node


def _described(node: yaml.MappingNode) -> Description:
    values: dict[str, Any] = {}
    nodes: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(key, "a name has to be a text")
        name = str(key.value)
        if name in nodes:
            raise _wrong(key, f"{name}: it is there twice")
        nodes[name] = value
        try:
            values[name] = yaml.SafeLoader("").construct_object(value, deep=True)  # type: ignore[no-untyped-call]
        except _UNREADABLE:
            raise _wrong(value, f"{name}: nothing that can be read") from None
        if not _is_finite(values[name]):
            raise _wrong(value, f"{name}: not a finite number")
    try:
        return msgspec.convert(values, Description)
    except msgspec.ValidationError as error:
        said = str(error)
        place, unknown = _PLACE.search(said), _UNKNOWN.search(said)
        field = place[1] if place else unknown[1] if unknown else ""
        raise _wrong(nodes.get(field, node), f"{field}: {_PLACE.sub('', said)}" if field else said) from None


def _wrong(node: yaml.Node, what: str) -> SettingsError:
    return SettingsError(f"detectors: line {node.start_mark.line + 1}: {what}")


def _is_finite(value: Any) -> bool:
    """Whether a number, or each number of a list, is one to calculate with."""
    numbers = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, float)]
    return all(math.isfinite(each) for each in numbers)
