"""The analyzers, by name."""

from __future__ import annotations

from typing import Any

from annohooks.imaging.analyzers.base import Analyzer, Parameters
from annohooks.imaging.analyzers.dark_regions import DarkRegions
from annohooks.imaging.analyzers.nuclei import Nuclei

ANALYZERS: dict[str, Analyzer[Any, Any]] = {analyzer.name: analyzer for analyzer in (DarkRegions(), Nuclei())}

__all__ = ["ANALYZERS", "Analyzer", "Parameters"]
