"""The rules of the house, kept by reading the imports. `make lint` keeps the docstrings (ruff's D rules)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from local.template import ROOT

LAYER = ROOT / "layers" / "shared"
PACKAGE = LAYER / "annohooks"
PLATFORMS = ("aiware", "kili", "slidescore")
NOT_DEPLOYED = {"local", "bench", "tests"}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions and for type checkers, and every name from one."""
    root = LAYER if path.is_relative_to(LAYER) else ROOT
    package = path.relative_to(root).with_suffix("").parts[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def importers(folder: Path, *modules: str, but: tuple[Path, ...] = ()) -> list[str]:
    """The files of a folder that import one of these modules, or something below it."""
    paths = sorted(folder.rglob("*.py"))
    assert paths
    return [
        str(path.relative_to(ROOT))
        for path in paths
        if path not in but
        and any(name == module or name.startswith(f"{module}.") for name in imports(path) for module in modules)
    ]


def test_annohooks_imports_nothing_that_stands_beside_it() -> None:
    assert importers(PACKAGE, "functions", *NOT_DEPLOYED) == []


def test_functions_import_neither_each_other_nor_what_is_not_deployed() -> None:
    assert importers(ROOT / "functions", "functions", *NOT_DEPLOYED) == []


def test_only_web_knows_the_web_framework() -> None:
    assert importers(PACKAGE, "starlette", "mangum", but=(PACKAGE / "web.py",)) == []
    assert importers(ROOT / "functions", "starlette", "mangum") == []
    for room in ("core", "imaging", *PLATFORMS):
        assert importers(PACKAGE / room, "annohooks.web") == []


def test_core_imports_no_other_room_and_no_pixels() -> None:
    rooms = (f"annohooks.{room}" for room in ("imaging", *PLATFORMS))
    assert importers(PACKAGE / "core", *rooms, "cv2", "numpy") == []


def test_imaging_imports_no_platform() -> None:
    assert importers(PACKAGE / "imaging", *(f"annohooks.{platform}" for platform in PLATFORMS)) == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_imports_no_other(platform: str) -> None:
    others = (f"annohooks.{other}" for other in PLATFORMS if other != platform)
    assert importers(PACKAGE / platform, *others) == []


def test_the_local_stack_reaches_annohooks_through_the_functions_it_loads() -> None:
    """It may put a shorter pause into `core.retry`, and nothing else."""
    assert importers(ROOT / "local", "annohooks", "functions", but=(ROOT / "local" / "time_scale.py",)) == []


def test_every_room_is_known_to_these_rules() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms == {"core", "imaging", *PLATFORMS}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import local.slides as s", {"local.slides"}),
        ("from annohooks import imaging, core", {"annohooks", "annohooks.imaging", "annohooks.core"}),
        ("from ..imaging.region import Box", {"annohooks.imaging.region", "annohooks.imaging.region.Box"}),
        ("def f():\n    import cv2", {"cv2"}),
        ("if TYPE_CHECKING:\n    import numpy as np", {"numpy"}),
    ],
)
def test_no_way_to_write_an_import_is_overlooked(monkeypatch: pytest.MonkeyPatch, line: str, names: set[str]) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: line)
    assert imports(PACKAGE / "core" / "auth.py") == names
