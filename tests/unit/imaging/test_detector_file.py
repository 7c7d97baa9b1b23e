"""The YAML file of detectors, and its mistakes."""

from __future__ import annotations

import pytest
from models import HEIGHT, WIDTH

from annohooks.core.errors import SettingsError
from annohooks.imaging.detectors import configured


def text(form="yolov8", **changed):
    """A file of one detector."""
    fields = {
        "name": "cells",
        "model": "cells.onnx",
        "format": form,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "labels": ["red", "blue"],
    } | changed
    lines = [f"    {name}: {value}" for name, value in fields.items() if value is not None]
    return "detectors:\n  -" + "\n".join(lines)[3:] + "\n"


def load(written):
    return configured.load(written, lambda key, sha256: b"")


def test_file_of_several_detectors_gives_each_by_its_name():
    detectors = load(text() + text("ssd", name="others", title="Other cells").removeprefix("detectors:\n"))
    assert [(name, onnx.name, onnx.title, onnx.kind) for name, onnx in detectors.items()] == [
        ("cells", "cells", "cells", "object"),
        ("others", "others", "Other cells", "object"),
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "line 1: expected `detectors:` and a list"),
        ("- name: x", "line 1: expected `detectors:` and a list"),
        ("detectors: 3", "line 1: expected `detectors:` and a list"),
        ("detectors: !!python/object:os.system x", "line 1: tags (!) are not accepted"),
        ("detectors:\n  - cells", "line 2: a detector has to be a mapping"),
        ("detectors:\n  - {[a]: b}\n", "line 2: a name has to be a text"),
        ("detectors:\n  - name: [", "line 3: not YAML"),
        ("detectors:\n  - name: \x07", "line 2: this character is not allowed in YAML"),
        ("detectors: [" + " " * 300_000, "more than 256000 characters"),
        ("detectors:\n  " + "[" * 2_000, "line 2: nested too deeply"),
        (text(labels="[" * 900 + "]" * 900), "line 7: nested too deeply"),
        (text(colour="red"), "line 8: colour: Object contains unknown field `colour`"),
        (text(model=None), "line 2: Object missing required field `model`"),
        (text() + "    model: other.onnx\n", "line 8: model: it occurs twice"),
        (text(format="yolov4"), "line 4: format: Invalid enum value 'yolov4'"),
        (text(width_px="wide"), "line 5: width_px: Expected `int`, got `str`"),
        (text(width_px=0), "line 5: width_px: Expected `int` >= 16"),
        (text(labels=[]), "line 7: labels: Expected `array` of length >= 1"),
        (text(labels="[red, no]"), "line 7: labels: Expected `str`, got `bool`"),
        (text(least_confidence=2), "line 8: least_confidence: Expected `float` <= 1"),
        (text(sha256="abc"), "line 8: sha256: Expected `str` matching regex"),
        (text(name="Cells"), "line 2: name: Expected `str` matching regex"),
        (text(name="faces"), "line 2: name: there is another 'faces'"),
        (text(name="nuclei"), "line 2: name: there is another 'nuclei'"),
        (text() + text().removeprefix("detectors:\n"), "line 8: name: there is another 'cells'"),
        (text(scale=".nan"), "line 8: scale: not a finite number"),
        (text(mean="[0, -.inf, 0]"), "line 8: mean: not a finite number"),
        (text(model="!!python/name:os.system x"), "line 3: tags (!) are not accepted"),
        (text(labels="&x [*x]"), "line 7: anchors and aliases (&, *) are not accepted"),
        (text(labels="2026-99-99"), "line 7: labels: it cannot be read"),
        (text(labels="{[a]: b}"), "line 7: labels: it cannot be read"),
    ],
)
def test_mistake_is_reported_with_its_line_and_field(written, message):
    with pytest.raises(SettingsError) as refused:
        load(written)
    assert message in str(refused.value)
    assert str(refused.value).startswith("detectors: ")
