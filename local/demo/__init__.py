"""`make demo`: posts the sample events as the platforms would, shows what they received, and draws it."""

from __future__ import annotations

import sys

from local.template import ROOT

EVENTS = ROOT / "events"
OUT = ROOT / "out"


def say(*words: object) -> None:
    """To the screen: what the functions print is their log, and goes to out/functions.log."""
    print(*words, file=sys.__stdout__, flush=True)
