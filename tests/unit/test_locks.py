"""The locks in .ci/locks hold what the requirements ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.template import ROOT

REQUIREMENTS = {
    "run": "requirements.txt",
    "test": "tests/requirements.txt",
    "lint": ".ci/code.txt",
    "template": ".ci/template.txt",
    "sam": ".ci/sam.txt",
    "uv": ".ci/uv.txt",
    "slidescore-sdk": "tests/contract/slidescore/requirements.txt",
    "kili-sdk": "tests/contract/kili/requirements.txt",
    "aion": "tests/contract/aiware/requirements.txt",
}
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def pins(path: Path) -> set[tuple[str, str]]:
    """Names and versions in a requirements file and those that it refers to."""
    text = path.read_text()
    names = {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in PIN.findall(text)}
    for reference in re.findall(r"^-r (\S+)", text, re.MULTILINE):
        names |= pins(path.parent / reference)
    return names


@pytest.mark.parametrize("lock", REQUIREMENTS)
def test_a_lock_holds_the_versions_that_are_asked_for_and_hashes(lock: str) -> None:
    path = ROOT / ".ci" / "locks" / f"{lock}.txt"
    asked = pins(ROOT / REQUIREMENTS[lock])
    assert asked
    assert asked <= pins(path), "run `make lock`"
    packages = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in package for package in packages)


def test_every_lock_is_made_of_requirements() -> None:
    assert {path.stem for path in (ROOT / ".ci" / "locks").glob("*.txt")} == {*REQUIREMENTS, "not_needed"}
