"""Runs one side of a benchmark in its own process.

    python -P bench/side.py NAME=DISTRIBUTION,... ours|theirs FUNCTION [ARGUMENT...]

The function prepares everything and returns the work, and only the work is timed. The work returns text about what it
did. The last line of output is JSON, which includes the versions of the distributions. This module imports almost
nothing before the measurement, because an import may be what is measured.
"""

import importlib
import sys
import time

_, libraries, side, function, *arguments = sys.argv
work = getattr(importlib.import_module(f"bench.{side}"), function)(*arguments)
started = time.perf_counter()
did = work()
seconds = time.perf_counter() - started

import json  # noqa: E402
import platform  # noqa: E402
import resource  # noqa: E402
from importlib.metadata import version  # noqa: E402

unit_bytes = 1 if sys.platform == "darwin" else 1024
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6
pairs = [library.partition("=")[::2] for library in libraries.split(",") if library]
on = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(package)}" for name, package in pairs)])
print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "did": did, "on": on}))
