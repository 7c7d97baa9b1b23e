"""Runs benchmarks; prints a table and writes bench/results.json, where rows of benchmarks not run stay as they are.

    SLIDESCORE_SDK_PYTHON=... KILI_SDK_PYTHON=... python -m bench [NAME...]

The two are the Pythons of virtual environments with the requirements of tests/contract; the benchmarks named may need
only one. Each run of each side is a fresh process, and the sides take turns: what else the machine does strikes both.
Most make two rows, the time of the work and, as NAME_memory, the most memory that the process took, imports and input
included. Those of the whole local stack, which have no other side, make the rows that bench/aiware.py says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bench.inputs import PICTURES
from bench.invocation import TRACE
from bench.kili import Kili
from bench.report import PER_SECOND, Measured, Row, merged, row, table
from local.template import ROOT, functions

RESULTS = ROOT / "bench" / "results.json"
PARAMETERS = {"SlideScoreOrigins": "https://slides.example.org"}
RESOURCES = {
    "StagingBucket": "staging",
    "IdempotencyTable": "idempotency",
    "JobsTable": "jobs",
    "AiwareEngine": "arn:aws:states:eu-west-1:123456789012:stateMachine:engine",
}


class Vendor(NamedTuple):
    """function: ours in template.yaml. python: the variable that says where the Python with the vendor's SDK is, None
    where there is no SDK: then it is this Python.

    libraries: distributions by name, which both sides have and whose versions matter to the figures.
    """

    function: str
    python: str | None
    libraries: Mapping[str, str]


PIXELS = {"OpenCV": "opencv-python-headless", "NumPy": "numpy"}
FLASK = {"Flask": "flask"}
SLIDESCORE = Vendor("SlideScoreFunction", "SLIDESCORE_SDK_PYTHON", PIXELS)
KILI = Vendor("KiliFunction", "KILI_SDK_PYTHON", {})
AIWARE_READY = Vendor("AiwareReadyFunction", None, FLASK)
AIWARE_PROCESS = Vendor("AiwareProcessFunction", None, FLASK)
AIWARE_REPORT = Vendor("AiwareReportFunction", None, FLASK)
AIWARE_WORK = Vendor("AiwareWorkFunction", None, FLASK | PIXELS)


class Benchmark(NamedTuple):
    """function: in ours.py and in the other side's module. inputs: names in inputs.py, each given to it as a file.

    other: what ours stands beside, theirs or floor; inputs_of_other: what it is given besides.
    warm_up: runs of each side before those that count, so that .pyc files are written and files in memory.
    with_kili: the simulated Kili runs meanwhile, and each run is given, as a file, the event of a label of its own.
    rate: how many things the work is done on, and what they are; the row is of things per second then, and none is of
    memory, since the floor keeps what its calls are given.
    """

    function: str
    inputs: tuple[str, ...] = ()
    runs_of_ours: int = 5
    runs_of_other: int = 5
    warm_up: int = 0
    other: str = "theirs"
    inputs_of_other: tuple[str, ...] = ()
    vendor: Vendor = SLIDESCORE
    with_kili: bool = False
    rate: tuple[int, str] | None = None


class Scenario(NamedTuple):
    """What is measured on the whole local stack. arguments: of bench.aiware."""

    arguments: tuple[str, ...]


BENCHMARKS: dict[str, Benchmark] = {
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
    "import_kili": Benchmark("import_kili", warm_up=1, vendor=KILI),
    "kili_event_cold": Benchmark("kili_event", warm_up=1, vendor=KILI, with_kili=True),
    "import_aiware_ready": Benchmark("import_aiware_ready", warm_up=1, vendor=AIWARE_READY),
    "import_aiware_process": Benchmark("import_aiware_process", warm_up=1, vendor=AIWARE_PROCESS),
    "import_aiware_report": Benchmark("import_aiware_report", warm_up=1, vendor=AIWARE_REPORT),
    "import_aiware_work": Benchmark("import_aiware_work", warm_up=1, vendor=AIWARE_WORK),
    "aiware_images": Benchmark(
        "images", ("face_pictures",), other="floor", vendor=AIWARE_WORK, rate=(PICTURES, "pictures")
    ),
    "aiware_video_frames": Benchmark(
        "video_frames", ("video_720p",), other="floor", vendor=AIWARE_WORK, rate=(60, "sampled frames")
    ),
    "aiware_video_frames_seeking": Benchmark(
        "video_frames_seeking", ("video_720p",), other="floor", vendor=AIWARE_WORK, rate=(60, "sampled frames")
    ),
}

SCENARIOS = {
    "aiware_ack_s": Scenario(("ack",)),
    "aiware_heartbeat_gap": Scenario(("heartbeat_gap",)),
    "aiware_heartbeat_gap_relay": Scenario(("heartbeat_gap_relay",)),
    "aiware_job_1": Scenario(("job", "1")),
    "aiware_job_10": Scenario(("job", "10")),
    "aiware_job_100": Scenario(("job", "100")),
}


class Sides:
    """Where and how the sides run, in a `with` block. folder: temporary, holds inputs and what a side leaves behind.

    pythons: of the virtual environments with a vendor's SDK, by the variable that names them.
    """

    def __init__(self, folder: Path, pythons: Mapping[str, str]) -> None:
        self._folder = folder
        self._pythons = pythons
        self._functions = {function.name: function for function in functions(PARAMETERS, RESOURCES)}
        self._started = ExitStack()
        self._kili: Kili | None = None

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def input(self, name: str) -> str:
        file = self._folder / name
        if not file.exists():
            _say(f"making {name}")
            python, environment = self._side("ours", SLIDESCORE)
            subprocess.run([python, "-m", "bench.inputs", name, file], env=environment, check=True)
        return str(file)

    def run(self, side: str, benchmark: Benchmark) -> dict[str, Any]:
        """What side.py printed. This process stays small, for on Linux a child's peak is at least its parent's size."""
        python, environment = self._side(side, benchmark.vendor)
        inputs = benchmark.inputs if side == "ours" else benchmark.inputs + benchmark.inputs_of_other
        arguments = list(map(self.input, inputs))
        if not benchmark.with_kili:
            return self._timed(python, environment, side, benchmark, arguments)
        kili = self._kili = self._kili or self._started.enter_context(Kili())
        label = kili.submit()
        event = self._folder / "event"
        event.write_text(json.dumps(label["event"]))
        run = self._timed(python, environment | kili.variables[side], side, benchmark, [*arguments, str(event)])
        return run | {"did": f"{run['did']}; {kili.checked(label['id'])}"}

    def _side(self, side: str, vendor: Vendor) -> tuple[Path, dict[str, str]]:
        """The Python of a side and its environment, which has nothing of the shell's but the path."""
        if side == "theirs":
            home = self._folder / "home"
            home.mkdir(exist_ok=True)
            python = self._pythons[vendor.python] if vendor.python else sys.executable
            return Path(python).absolute(), _environment(ROOT) | {"HOME": str(home)}
        function = self._functions[vendor.function]
        # LAMBDA_TASK_ROOT is how Powertools knows that it runs in Lambda and needs the X-Ray SDK, which wants a trace.
        in_lambda = {"LAMBDA_TASK_ROOT": str(function.folder), "_X_AMZN_TRACE_ID": TRACE}
        path = _environment(function.folder, ROOT / "layers" / "shared", ROOT)
        return Path(sys.executable), path | function.environment | in_lambda

    def _timed(
        self, python: Path, environment: Mapping[str, str], side: str, benchmark: Benchmark, arguments: list[str]
    ) -> dict[str, Any]:
        libraries = ",".join(f"{name}={distribution}" for name, distribution in benchmark.vendor.libraries.items())
        done = subprocess.run(
            [python, "-P", ROOT / "bench" / "side.py", libraries, side, benchmark.function, *arguments],
            env=environment,
            cwd=self._folder,
            capture_output=True,  # the other side shows its progress, even where there is no terminal
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{side} of {benchmark.function} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def _environment(*folders: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measured(name: str, benchmark: Benchmark, sides: Sides) -> list[Row]:
    """The row of the time and that of the memory, or that of a rate."""
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
    seconds = [[run["seconds"] for run in of] for of in runs.values()]
    if benchmark.rate:
        number, things = benchmark.rate
        rates = ([number / each for each in of] for of in seconds)
        return [row(name, *rates, f"{things}{PER_SECOND}", _note(runs))]
    memory = ([run["peak_mb"] for run in of] for of in runs.values())
    return [
        row(name, *seconds, "s", _note(runs)),
        row(f"{name}_memory", *memory, "MB", f"imports and input included; {_note(runs)}"),
    ]


def played(name: str, scenario: Scenario) -> list[Row]:
    """The rows of what happened on the local stack."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.aiware", *scenario.arguments],
        env=_environment(ROOT / "layers" / "shared", ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    found = [Measured(*each) for each in json.loads(done.stdout)]
    on = f"Python {platform.python_version()}; {os.cpu_count()} CPUs {platform.machine()}"
    rows = []
    for each in found:
        promised = [] if each.promised is None else [each.promised]
        rows.append(row(f"{name}{each.suffix}", [each.value], promised, each.unit, f"{each.note}; {on}"))
        _say(f"{rows[-1].name}: {rows[-1].ours} {each.unit}")
    return rows


def _note(runs: dict[str, list[dict[str, Any]]]) -> str:
    """What either side did, how often, and on what."""
    did = [
        f"{side}: {of[0]['did']} ({f'median of {len(of)}' if len(of) > 1 else 'one run'})" for side, of in runs.items()
    ]
    on = dict.fromkeys(of[0]["on"] for of in runs.values())
    return f"{'; '.join(did)}; {' against '.join(on)}; {os.cpu_count()} CPUs {platform.machine()}"


def main() -> None:
    there = [*BENCHMARKS, *SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"Benchmarks: {', '.join(there)}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all when none is named")
    names = parser.parse_args().names or there
    if unknown := [name for name in names if name not in there]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(there)}")
    chosen = [BENCHMARKS[name] for name in names if name in BENCHMARKS]
    needed = {of.vendor.python for of in chosen if of.other == "theirs" and of.vendor.python}
    if missing := sorted(variable for variable in needed if not os.environ.get(variable)):
        parser.error(f"{' and '.join(missing)} must say where the Python with the vendor's SDK is; `make bench` does")
    if (load := os.getloadavg()[0]) > 1:
        _say(f"this machine has other work to do (load {load:.1f}): the times may be too long")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, Sides(Path(folder), os.environ) as sides:
        for name in names:
            rows += measured(name, BENCHMARKS[name], sides) if name in BENCHMARKS else played(name, SCENARIOS[name])
            earlier = [Row(**kept) for kept in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
            kept = [row._asdict() for row in merged(earlier, rows)]
            RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    print(table(merged([], rows)))


if __name__ == "__main__":
    main()
