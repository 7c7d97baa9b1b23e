"""The project and the labels that events/kili name, by the ids in those files, and the labels of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local.simulators.kili.server import Kili

PROJECT = "sample-project"
RULES = Path(__file__).with_name("rules.yaml")
"""The rules that the labels here keep or break."""
INTERFACE: dict[str, Any] = {
    "jobs": {
        "JOB_0": {
            "content": {
                "categories": {
                    "OBJECT_A": {"children": [], "name": "Fuel tank", "color": "#733AFB", "id": "category1"},
                    "OBJECT_B": {"children": [], "name": "Something else", "color": "#3CD876", "id": "category2"},
                },
                "input": "radio",
            },
            "instruction": "Where is the fuel tank?",
            "isChild": False,
            "tools": ["rectangle"],
            "mlTask": "OBJECT_DETECTION",
            "models": {},
            "isVisible": True,
            "required": 1,
            "isNew": False,
        }
    }
}
SIZE_PX = (741, 500)
"""Width and height of scikit-image's motorcycle."""

TOO_LARGE = ("box-of-everything", "OBJECT_A", 0.13, 0.14, 0.93, 0.90)
TANK = ("box-of-the-tank", "OBJECT_A", 0.43, 0.33, 0.65, 0.54)
FENDER = ("box-of-a-fender", "OBJECT_A", 0.67, 0.52, 0.88, 0.66)


def label(*boxes: tuple[str, str, float, float, float, float]) -> dict[str, Any]:
    """A jsonResponse with boxes, each (mid, category, left, top, right, bottom) in fractions of the picture."""
    return {
        "JOB_0": {
            "annotations": [
                {
                    "boundingPoly": [
                        {
                            "normalizedVertices": [
                                {"x": x, "y": y}
                                for x, y in ((left, bottom), (left, top), (right, top), (right, bottom))
                            ]
                        }
                    ],
                    "categories": [{"name": category}],
                    "children": {},
                    "mid": mid,
                    "type": "rectangle",
                }
                for mid, category, left, top, right, bottom in boxes
            ]
        }
    }


WITH_TWO_MISTAKES = label(TOO_LARGE, TANK, FENDER)
CORRECTED = label(TANK)


def fill(kili: Kili) -> None:
    """Adds the project, and an asset with its label for each sample event."""
    kili.add_project(PROJECT, json_interface=INTERFACE, title="annohooks sample")
    malformed = label(TANK)
    malformed["JOB_0"]["annotations"][0]["boundingPoly"] = [{"normalizedVertices": [{"x": "left", "y": None}]}]
    for name, content, label_type in (
        ("two-mistakes", WITH_TWO_MISTAKES, "DEFAULT"),
        ("right", CORRECTED, "DEFAULT"),
        ("reviewed", label(TOO_LARGE), "REVIEW"),
        ("flat", WITH_TWO_MISTAKES, "DEFAULT"),
        ("whole", WITH_TWO_MISTAKES, "DEFAULT"),
        ("edited", label(TANK, FENDER), "DEFAULT"),
        ("predicted", WITH_TWO_MISTAKES, "PREDICTION"),
        ("malformed", malformed, "DEFAULT"),
        ("relabelled", WITH_TWO_MISTAKES, "DEFAULT"),
    ):
        width, height = SIZE_PX
        kili.add_asset(PROJECT, f"asset-{name}", external_id=f"{name}.png", width=width, height=height)
        author = "reviewer" if label_type == "REVIEW" else "labeller"
        kili.submit(f"asset-{name}", content, label_type=label_type, author=author, label_id=f"label-{name}")
    kili.submit("asset-relabelled", CORRECTED)
