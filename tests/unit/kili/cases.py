"""Labels read without Kili, and rules as a team writes them applied to such labels."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

from annohooks.core.deadline import Deadline
from annohooks.kili.api.records import Label, Project
from annohooks.kili.label.model import Object, Reading
from annohooks.kili.label.reader import read
from annohooks.kili.rules import Ruleset, Verdict, load
from annohooks.kili.rules.base import Finding, Handler, NotApplicable

ROOT = Path(__file__).parents[3]
PACKAGED_RULES = ROOT / "functions" / "kili" / "rules.yaml"
RULES_PAGE = ROOT / "docs" / "kili-rules.md"
SIZE_PX = (1000, 500)


class InMemory:
    """A Case without Kili. requests: what it would have asked Kili for."""

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
        self.requests: list[str] = []
        self._project = Project(id="project-1", input_type=input_type, interface={"jobs": jobs} if jobs else {})
        self._size_px = size_px

    def project(self) -> Project:
        self.requests.append("project")
        return self._project

    def size_px(self) -> tuple[int, int]:
        self.requests.append("size_px")
        if self._size_px is None:
            raise NotApplicable("no resolution")
        return self._size_px


def reading_of(*annotations: Any) -> Reading:
    """A label with these annotations in JOB_0, read."""
    return read({"JOB_0": {"annotations": list(annotations)}})


def only_object(*annotations: Any) -> Object:
    """The one object of these annotations, which have no fault."""
    reading = reading_of(*annotations)
    assert reading.faults == ()
    (obj,) = reading.objects
    return obj


def objects(*drawn: dict[str, Any], job: str = "JOB_0", **others: Any) -> dict[str, Any]:
    """A jsonResponse of one job with these annotations. others: further jobs."""
    return {job: {"annotations": list(drawn)}, **others}


def frames(**drawn: list[dict[str, Any]]) -> dict[str, Any]:
    """A jsonResponse of a video: f3=[...] for the annotations of frame 3."""
    return {name[1:]: objects(*annotations) for name, annotations in drawn.items()}


def ruleset(*rules: str) -> Ruleset:
    """Rules as in rules.yaml without their ids, which are rule-1, rule-2, ..."""
    listed = (f"  - id: rule-{number}\n{indent(rule.strip(), '    ')}\n" for number, rule in enumerate(rules, 1))
    return load(f"version: 1\nrules:\n{''.join(listed)}", "rules.yaml")


def verdict(rule: str, response: Any, **about: Any) -> Verdict:
    """The verdict of one rule. about: arguments of InMemory."""
    return ruleset(rule).find(InMemory(response, **about))


def findings(rule: str, response: Any, **about: Any) -> list[Finding]:
    """The findings of one rule that can be applied to the whole label."""
    outcome = verdict(rule, response, **about)
    assert outcome.unchecked == {}
    return outcome.findings


def reported(rule: str, response: Any, **about: Any) -> list[tuple[str | None, str]]:
    """Mid and text of the findings of one rule."""
    return [(finding.mid, finding.text) for finding in findings(rule, response, **about)]


def unchecked(rule: str, response: Any, **about: Any) -> str:
    """The reason why one rule could not be applied to the whole label."""
    return verdict(rule, response, **about).unchecked["rule-1"]
