"""Runs benchmarks; prints a table and writes bench/results.json, where rows of benchmarks not run stay as they are.

    VENDOR_PYTHON=... python -m bench [NAME...]

VENDOR_PYTHON is the Python of a virtual environment with tests/contract/requirements.txt. Each run of each side is a
fresh process, and the sides take turns: what else the machine does strikes both. Every benchmark makes two rows, the
time of its work and, as NAME_memory, the most memory that the process took, imports and input included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import Row, merged, row, table
from local.template import ROOT, functions

RESULTS = ROOT / "bench" / "results.json"
FUNCTION = "SlideScoreFunction"


class Benchmark(NamedTuple):
    """function: in ours.py and in the other side's module. inputs: names in inputs.py, each given to it as a file.

    other: what ours stands beside, theirs or floor; inputs_of_other: what it is given besides.
    warm_up: runs of each side before those that count, so that .pyc files are written and files in memory.
    """

    function: str
    inputs: tuple[str, ...] = ()
    runs_of_ours: int = 5
    runs_of_other: int = 5
    warm_up: int = 0
    other: str = "theirs"
    inputs_of_other: tuple[str, ...] = ()


BENCHMARKS = {
    "import_slidescore": Benchmark("import_slidescore", warm_up=1),
    "anno2_polygons_1k": Benchmark("anno2_polygons", ("nuclei_1k",)),
    "anno2_polygons_10k": Benchmark("anno2_polygons", ("nuclei_10k",), runs_of_other=3),
    "anno2_polygons_100k": Benchmark("anno2_polygons", ("nuclei_100k",), runs_of_other=3),
    "anno2_polygons_1m": Benchmark("anno2_polygons", ("nuclei_1m",), runs_of_ours=3, runs_of_other=1),
    "anno2_points_1m_dense": Benchmark("anno2_points", ("points_1m_dense",), runs_of_other=1),
    "anno2_points_1m_sparse": Benchmark("anno2_points", ("points_1m_sparse",), runs_of_other=1),
    "anno2_comb_8k": Benchmark("anno2_polygons", ("comb_8k",), runs_of_other=1),
    "anno2_far_outline": Benchmark("anno2_polygons", ("far_outline",)),
    "contours_300k_vertices": Benchmark("contours", ("tissue",)),
    "region_4000_tissue": Benchmark("region", ("tissue",), runs_of_other=1),
    "region_4000_ihc": Benchmark("region", ("ihc",), runs_of_other=1),
    "region_4000_floor": Benchmark("region", ("tissue",), other="floor", inputs_of_other=("tissue_members",)),
}


class Sides:
    """Where and how the sides run. folder: temporary, holds inputs and what a side leaves behind."""

    def __init__(self, folder: Path, vendor_python: Path) -> None:
        self._folder = folder
        ours, theirs = Path(sys.executable), vendor_python.absolute()
        slidescore = next(
            function
            for function in functions({"SlideScoreOrigins": "https://slides.example.org"}, {"StagingBucket": "staging"})
            if function.name == FUNCTION
        )
        # LAMBDA_TASK_ROOT is how Powertools knows that it runs in Lambda and needs the X-Ray SDK.
        variables = {**slidescore.environment, "LAMBDA_TASK_ROOT": str(slidescore.folder)}
        with_us = _environment(slidescore.folder, ROOT / "layers" / "shared", ROOT) | variables
        self._sides = {"ours": (ours, with_us), "floor": (ours, with_us), "theirs": (theirs, _environment(ROOT))}

    def input(self, name: str) -> str:
        file = self._folder / name
        if not file.exists():
            _say(f"making {name}")
            python, environment = self._sides["ours"]
            subprocess.run([python, "-m", "bench.inputs", name, file], env=environment, check=True)
        return str(file)

    def run(self, side: str, benchmark: Benchmark) -> dict[str, Any]:
        """What side.py printed. This process stays small, for on Linux a child's peak is at least its parent's size."""
        python, environment = self._sides[side]
        inputs = benchmark.inputs if side == "ours" else benchmark.inputs + benchmark.inputs_of_other
        arguments = [side, benchmark.function, *map(self.input, inputs)]
        done = subprocess.run(
            [python, "-P", ROOT / "bench" / "side.py", *arguments],
            env=environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


def _environment(*folders: Path) -> dict[str, str]:
    """Without what a shell sets for Python, such as that no .pyc be written."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measured(name: str, benchmark: Benchmark, sides: Sides) -> list[Row]:
    """The row of the time and that of the memory."""
    wanted = {"ours": benchmark.runs_of_ours, benchmark.other: benchmark.runs_of_other}
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in wanted}
    for turn in range(-benchmark.warm_up, max(wanted.values())):
        for side in runs:
            if turn < wanted[side]:
                run = sides.run(side, benchmark)
                _say(
                    f"{name} {side}{' (warm-up)' if turn < 0 else ''}: {run['seconds']:.3f} s, {run['peak_mb']:.0f} MB"
                )
                if turn >= 0:
                    runs[side].append(run)
    time = ([run["seconds"] for run in of] for of in runs.values())
    memory = ([run["peak_mb"] for run in of] for of in runs.values())
    return [
        row(name, *time, "s", _note(runs)),
        row(f"{name}_memory", *memory, "MB", f"imports and input included; {_note(runs)}"),
    ]


def _note(runs: dict[str, list[dict[str, Any]]]) -> str:
    """What either side did, how often, and on what."""
    did = [
        f"{side}: {of[0]['did']} ({f'median of {len(of)}' if len(of) > 1 else 'one run'})" for side, of in runs.items()
    ]
    on = dict.fromkeys(of[0]["on"] for of in runs.values())
    return f"{'; '.join(did)}; {' against '.join(on)}; {os.cpu_count()} CPUs {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"Benchmarks: {', '.join(BENCHMARKS)}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all when none is named")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    vendor_python = os.environ.get("VENDOR_PYTHON")
    if not vendor_python:
        parser.error("VENDOR_PYTHON must say where the Python is that has slidescore-sdk, FastAPI and OpenCV")
    if (load := os.getloadavg()[0]) > 1:
        _say(f"this machine has other work to do (load {load:.1f}): the times may be too long")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(Path(folder), Path(vendor_python))
        for name in names:
            rows += measured(name, BENCHMARKS[name], sides)
            earlier = [Row(**kept) for kept in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
            kept = [row._asdict() for row in merged(earlier, rows)]
            RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    print(table(merged([], rows)))


if __name__ == "__main__":
    main()
