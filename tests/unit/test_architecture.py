"""The rules of the house, kept by reading the imports, and what a reader may expect of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.template import ROOT

LAYER = ROOT / "layers" / "shared"
PACKAGE = LAYER / "annohooks"
SHARED = {"core", "imaging"}
PLATFORMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} - SHARED
PIXELS = {"cv2", "numpy"}
WEB = {"mangum", "starlette", "multipart"}
OTHERS = {"functions", "local", "bench", "tests"}


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def module_name(path: Path) -> str:
    root = LAYER if path.is_relative_to(LAYER) else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Every module a file imports, also inside functions and for type checkers, and every name from one."""
    package = module_name(path).split(".")[: None if path.name == "__init__.py" else -1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def top_level(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def subpackages(path: Path) -> set[str]:
    """core, imaging, slidescore ...: what a file imports of annohooks."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("annohooks.")} & (SHARED | PLATFORMS)


def each(folder: Path) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", sources(folder), ids=module_name)


# Who may import whom


@each(PACKAGE)
def test_annohooks_imports_neither_functions_nor_what_stands_beside_them(path):
    assert not top_level(path) & OTHERS


@each(PACKAGE)
def test_annohooks_knows_nothing_of_web_frameworks_and_events(path):
    assert not top_level(path) & WEB


@each(PACKAGE / "core")
def test_core_imports_nothing_but_core(path):
    assert subpackages(path) <= {"core"}


@each(PACKAGE / "core")
def test_core_loads_neither_opencv_nor_numpy(path):
    assert not top_level(path) & PIXELS


@each(PACKAGE / "imaging")
def test_imaging_imports_no_platform(path):
    assert subpackages(path) <= SHARED


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_platforms_do_not_import_each_other(platform):
    for path in sources(PACKAGE / platform):
        assert subpackages(path) <= SHARED | {platform}, module_name(path)


@each(ROOT / "local")
def test_local_stack_reaches_annohooks_only_through_the_functions_it_loads(path):
    assert not top_level(path) & {"annohooks", "functions"}


@each(ROOT / "functions")
def test_functions_import_neither_each_other_nor_what_is_not_deployed(path):
    assert not top_level(path) & OTHERS


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import local.slides as s", {"local.slides"}),
        ("from annohooks import imaging, core", {"annohooks", "annohooks.imaging", "annohooks.core"}),
        ("from ..imaging.region import Box", {"annohooks.imaging.region", "annohooks.imaging.region.Box"}),
        ("from . import http", {"annohooks.core", "annohooks.core.http"}),
        ("def f():\n    import cv2", {"cv2"}),
        ("if TYPE_CHECKING:\n    import numpy as np", {"numpy"}),
    ],
)
def test_no_way_to_write_an_import_is_overlooked(monkeypatch, line, found):
    monkeypatch.setattr(Path, "read_text", lambda *_: line)
    assert imports(PACKAGE / "core" / "auth.py") == found


def test_every_package_of_ours_is_a_platform_or_shared():
    assert all((PACKAGE / name / "__init__.py").exists() for name in SHARED)
    assert "slidescore" in PLATFORMS
    assert not (SHARED | PLATFORMS | OTHERS) & sys.stdlib_module_names


# What a reader may expect

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(path: Path) -> Iterator[tuple[str, Definition, bool]]:
    """Public classes, functions and methods by name, and whether it is a method of a class that inherits."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node, False
            for member in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_"):
                    yield member.name, member, bool(node.bases)


def is_one_line(node: Definition) -> bool:
    return isinstance(node, ast.FunctionDef) and len(node.body) == 1 and node.body[0].lineno == node.body[0].end_lineno


EXPLAINED_ONCE = {
    name for path in sources(PACKAGE) for name, node, _ in definitions(path) if ast.get_docstring(node) is not None
}


@each(PACKAGE)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@each(PACKAGE)
def test_every_class_and_every_function_of_more_than_a_line_says_what_it_is(path):
    """A method that does what its base class promises need not say it again."""
    silent = [
        f"{name}, line {node.lineno}"
        for name, node, inherits in definitions(path)
        if not ast.get_docstring(node) and not is_one_line(node) and not (inherits and name in EXPLAINED_ONCE)
    ]
    assert silent == []
