"""`make demo`: posts the sample events as the platforms do, prints the answers, and draws the results."""

from __future__ import annotations

import sys

from local.template import ROOT

EVENTS = ROOT / "events"
OUT = ROOT / "out"


def say(*words: object) -> None:
    """Prints to the screen. What the functions print is their log, and goes to out/functions.log."""
    print(*words, file=sys.__stdout__, flush=True)
