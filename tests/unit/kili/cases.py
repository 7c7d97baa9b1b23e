"""Labels as the checks see them, and rules as a team writes them."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from annohooks.core.deadline import Deadline
from annohooks.kili.api.records import Label, Project
from annohooks.kili.label.model import Reading
from annohooks.kili.label.reader import read
from annohooks.kili.rules import Ruleset, Verdict, load
from annohooks.kili.rules.base import Finding, Handler, NotApplicable

SIZE_PX = (1000, 500)


class InMemory:
    """A label without a Kili around it. asked: what Kili would have been asked for."""

    def __init__(
        self,
        response: Any,
        *,
        jobs: dict[str, Any] | None = None,
        input_type: str = "IMAGE",
        size_px: tuple[int, int] | None = SIZE_PX,
        seconds: float | None = 60.0,
        handler: Handler = "submit",
    ) -> None:
        self.reading = response if isinstance(response, Reading) else read(response)
        self.handler = handler
        self.label = Label(
            id="label-1",
            project_id="project-1",
            asset_id="asset-1",
            label_type="DEFAULT",
            json_response=response,
            seconds_to_label=seconds,
        )
        self.deadline = Deadline.after(3600)
        self.asked: list[str] = []
        self._project = Project(id="project-1", input_type=input_type, interface={"jobs": jobs} if jobs else {})
        self._size_px = size_px

    def project(self) -> Project:
        self.asked.append("project")
        return self._project

    def size_px(self) -> tuple[int, int]:
        self.asked.append("size_px")
        if self._size_px is None:
            raise NotApplicable("no resolution")
        return self._size_px


def objects(*drawn: dict[str, Any], job: str = "JOB_0", **others: Any) -> dict[str, Any]:
    """A jsonResponse of one job with these annotations, and others."""
    return {job: {"annotations": list(drawn)}, **others}


def frames(**drawn: list[dict[str, Any]]) -> dict[str, Any]:
    """A jsonResponse of a video: f3=[...] for the annotations of frame 3."""
    return {name[1:]: objects(*annotations) for name, annotations in drawn.items()}


def ruleset(*rules: str) -> Ruleset:
    """Each as below `rules:` in rules.yaml, without the id and the dash: rule-1, rule-2, ..."""
    listed = (f"  - id: rule-{number}\n{indent(rule.strip(), '    ')}\n" for number, rule in enumerate(rules, 1))
    return load(f"version: 1\nrules:\n{''.join(listed)}", "rules.yaml")


def verdict(rule: str, response: Any, **about: Any) -> Verdict:
    """What one rule says of a label; about: what InMemory is told."""
    return ruleset(rule).find(InMemory(response, **about))


def found(rule: str, response: Any, **about: Any) -> list[Finding]:
    """What one rule finds in a label that it can be applied to."""
    said = verdict(rule, response, **about)
    assert said.unchecked == {}
    return said.findings


def told(rule: str, response: Any, **about: Any) -> list[tuple[str | None, str]]:
    """The mid and the text of what one rule finds."""
    return [(finding.mid, finding.text) for finding in found(rule, response, **about)]


def unchecked(rule: str, response: Any, **about: Any) -> str:
    """Why one rule could not be applied."""
    return verdict(rule, response, **about).unchecked["rule-1"]
