"""A project with labels: what events/kili tells of, under the ids that stand there, and the demo's story."""

from __future__ import annotations

from typing import Any

from local.kili.server import Kili

PROJECT = "sample-project"
INTERFACE: dict[str, Any] = {
    "jobs": {
        "JOB_0": {
            "content": {
                "categories": {
                    "OBJECT_A": {"children": [], "name": "Motorcycle", "color": "#733AFB", "id": "category1"},
                    "OBJECT_B": {"children": [], "name": "Something else", "color": "#3CD876", "id": "category2"},
                },
                "input": "radio",
            },
            "instruction": "What is in the picture?",
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
"""Of scikit-image's motorcycle."""

TOO_LARGE = ("box-of-everything", "OBJECT_A", 0.10, 0.14, 0.86, 0.90)
MOTORCYCLE = ("box-of-the-motorcycle", "OBJECT_A", 0.15, 0.34, 0.76, 0.85)
WHEEL = ("box-of-a-wheel", "OBJECT_A", 0.17, 0.50, 0.37, 0.82)
OTHER_WHEEL = ("box-of-the-other-wheel", "OBJECT_A", 0.55, 0.48, 0.75, 0.80)


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


WITH_TWO_MISTAKES = label(TOO_LARGE, WHEEL, OTHER_WHEEL)
CORRECTED = label(MOTORCYCLE)


def fill(kili: Kili) -> None:
    """Adds the project, and an asset with its label for each sample event."""
    kili.add_project(PROJECT, json_interface=INTERFACE, title="annohooks sample")
    malformed = label(MOTORCYCLE)
    malformed["JOB_0"]["annotations"][0]["boundingPoly"] = [{"normalizedVertices": [{"x": "left", "y": None}]}]
    for name, content, label_type in (
        ("two-mistakes", WITH_TWO_MISTAKES, "DEFAULT"),
        ("right", CORRECTED, "DEFAULT"),
        ("reviewed", label(TOO_LARGE), "REVIEW"),
        ("flat", WITH_TWO_MISTAKES, "DEFAULT"),
        ("whole", WITH_TWO_MISTAKES, "DEFAULT"),
        ("edited", label(WHEEL, OTHER_WHEEL), "DEFAULT"),
        ("predicted", WITH_TWO_MISTAKES, "PREDICTION"),
        ("malformed", malformed, "DEFAULT"),
        ("relabelled", WITH_TWO_MISTAKES, "DEFAULT"),
    ):
        width, height = SIZE_PX
        kili.add_asset(PROJECT, f"asset-{name}", external_id=f"{name}.png", width=width, height=height)
        author = "reviewer" if label_type == "REVIEW" else "labeller"
        kili.submit(f"asset-{name}", content, label_type=label_type, author=author, label_id=f"label-{name}")
    kili.submit("asset-relabelled", CORRECTED)
