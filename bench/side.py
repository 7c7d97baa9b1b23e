"""One side of a benchmark in a process of its own.

    python -P bench/side.py NAME=DISTRIBUTION,... ours|theirs FUNCTION [ARGUMENT...]

The function gets everything ready and returns the work; the work alone is timed. Its result is text about what it did.
Prints, as the last line, JSON, with the versions of the distributions. Until the clock has run this imports next to
nothing, since an import may be what is measured.
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
named = [library.partition("=") for library in libraries.split(",") if library]
on = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(of)}" for name, _, of in named)])
print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "did": did, "on": on}))
