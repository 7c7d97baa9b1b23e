"""Runs benchmarks, prints a table, and updates their rows in bench/results.json.

    SLIDESCORE_SDK_PYTHON=... KILI_SDK_PYTHON=... python -m bench [NAME...]

The variables name the Pythons of virtual environments with the requirements of tests/contract. A benchmark needs at
most one of them. Each run of each side is a new process, and the sides take turns, so that other load affects both.
Most benchmarks make two rows: the time of the work and, as NAME_memory, the peak memory of the process, which includes
imports and input. The benchmarks of the whole local stack have no other side; bench/aiware.py returns their rows.
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
from bench.report import PER_SECOND, Measurement, Row, merged, row, table
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
    """How both sides run. function: ours in template.yaml.

    python: the variable that names the Python with the vendor's SDK. None if there is no SDK: then it is this Python.
    libraries: the distributions that both sides have and whose versions affect the results, by name.
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
    """function: its name in ours.py and in the other side's module. inputs: names in inputs.py, passed to it as files.

    other: the module of the other side, theirs or floor. inputs_of_other: further inputs of that side.
    warm_up: uncounted runs of each side, which write .pyc files and bring files into memory.
    with_kili: the simulated Kili runs meanwhile, and each run gets a file with the event of a new label.
    rate: the number and name of the items that the work processes. Then the row is in items per second, and there is no
    row of memory, because the floor keeps the arguments of its calls.
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
    """A measurement on the whole local stack. arguments: those of bench.aiware."""

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
    """Runs the sides, in a `with` block. folder: a temporary folder for inputs and files that a side leaves behind.

    pythons: the Pythons of the virtual environments with a vendor's SDK, by the variable that names them.
    """

    def __init__(self, folder: Path, pythons: Mapping[str, str]) -> None:
        self._folder = folder
        self._pythons = pythons
        self._functions = {function.name: function for function in functions(PARAMETERS, RESOURCES)}
        self._open = ExitStack()
        self._kili: Kili | None = None

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def input(self, name: str) -> str:
        """The path of an input, which is created when it is first needed."""
        file = self._folder / name
        if not file.exists():
            _log(f"creating {name}")
            python, environment = self._side("ours", SLIDESCORE)
            subprocess.run([python, "-m", "bench.inputs", name, file], env=environment, check=True)
        return str(file)

    def run(self, side: str, benchmark: Benchmark) -> dict[str, Any]:
        """The result of side.py. This process stays small: on Linux a child's peak is at least its parent's size."""
        python, environment = self._side(side, benchmark.vendor)
        inputs = benchmark.inputs if side == "ours" else benchmark.inputs + benchmark.inputs_of_other
        arguments = list(map(self.input, inputs))
        if not benchmark.with_kili:
            return self._timed(python, environment, side, benchmark, arguments)
        kili = self._kili = self._kili or self._open.enter_context(Kili())
        label = kili.submit()
        event = self._folder / "event"
        event.write_text(json.dumps(label["event"]))
        run = self._timed(python, environment | kili.variables[side], side, benchmark, [*arguments, str(event)])
        return run | {"did": f"{run['did']}; {kili.outcome(label['id'])}"}

    def _side(self, side: str, vendor: Vendor) -> tuple[Path, dict[str, str]]:
        """The Python of a side and its environment, which contains only the path of the shell's."""
        if side == "theirs":
            home = self._folder / "home"
            home.mkdir(exist_ok=True)
            python = self._pythons[vendor.python] if vendor.python else sys.executable
            return Path(python).absolute(), _environment(ROOT) | {"HOME": str(home)}
        function = self._functions[vendor.function]
        # With LAMBDA_TASK_ROOT, Powertools loads the X-Ray SDK as in Lambda, which needs a trace.
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
            capture_output=True,  # the other side shows its progress even without a terminal
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{side} of {benchmark.function} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def _environment(*folders: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def benchmark_rows(name: str, benchmark: Benchmark, sides: Sides) -> list[Row]:
    """Runs a benchmark. Returns the rows of time and of memory, or the row of a rate."""
    counts = {"ours": benchmark.runs_of_ours, benchmark.other: benchmark.runs_of_other}
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in counts}
    for turn in range(-benchmark.warm_up, max(counts.values())):
        for side in runs:
            if turn < counts[side]:
                run = sides.run(side, benchmark)
                _log(
                    f"{name} {side}{' (warm-up)' if turn < 0 else ''}: {run['seconds']:.3f} s, {run['peak_mb']:.0f} MB"
                )
                if turn >= 0:
                    runs[side].append(run)
    seconds = [[run["seconds"] for run in side_runs] for side_runs in runs.values()]
    if benchmark.rate:
        number, items = benchmark.rate
        rates = ([number / duration_s for duration_s in side_seconds] for side_seconds in seconds)
        return [row(name, *rates, f"{items}{PER_SECOND}", _note(runs))]
    memory = ([run["peak_mb"] for run in side_runs] for side_runs in runs.values())
    return [
        row(name, *seconds, "s", _note(runs)),
        row(f"{name}_memory", *memory, "MB", f"imports and input included; {_note(runs)}"),
    ]


def scenario_rows(name: str, scenario: Scenario) -> list[Row]:
    """Runs a scenario on the local stack. Returns its rows."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.aiware", *scenario.arguments],
        env=_environment(ROOT / "layers" / "shared", ROOT),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    machine = f"Python {platform.python_version()}; {os.cpu_count()} CPUs {platform.machine()}"
    rows = []
    for fields in json.loads(done.stdout):
        measurement = Measurement(*fields)
        promised = [] if measurement.promised is None else [measurement.promised]
        note = f"{measurement.note}; {machine}"
        rows.append(row(f"{name}{measurement.suffix}", [measurement.value], promised, measurement.unit, note))
        _log(f"{rows[-1].name}: {rows[-1].ours} {measurement.unit}")
    return rows


def _note(runs: dict[str, list[dict[str, Any]]]) -> str:
    """What each side did, how often, and with which versions."""
    did = [
        f"{side}: {side_runs[0]['did']} ({f'median of {len(side_runs)}' if len(side_runs) > 1 else 'one run'})"
        for side, side_runs in runs.items()
    ]
    versions = dict.fromkeys(side_runs[0]["on"] for side_runs in runs.values())
    return f"{'; '.join(did)}; {' against '.join(versions)}; {os.cpu_count()} CPUs {platform.machine()}"


def main() -> None:
    known = [*BENCHMARKS, *SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"Benchmarks: {', '.join(known)}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the benchmarks to run; by default all")
    names = parser.parse_args().names or known
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown benchmark {', '.join(unknown)}; the benchmarks are {', '.join(known)}")
    chosen = [BENCHMARKS[name] for name in names if name in BENCHMARKS]
    variables = {
        benchmark.vendor.python for benchmark in chosen if benchmark.other == "theirs" and benchmark.vendor.python
    }
    if missing := sorted(variable for variable in variables if not os.environ.get(variable)):
        parser.error(f"{' and '.join(missing)} must name the Python with the vendor's SDK; `make bench` sets it")
    if (load := os.getloadavg()[0]) > 1:
        _log(f"this machine is busy (load {load:.1f}), so the times may be too long")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, Sides(Path(folder), os.environ) as sides:
        for name in names:
            if name in BENCHMARKS:
                rows += benchmark_rows(name, BENCHMARKS[name], sides)
            else:
                rows += scenario_rows(name, SCENARIOS[name])
            earlier = [Row(**fields) for fields in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
            RESULTS.write_text(json.dumps([row._asdict() for row in merged(earlier, rows)], indent=2) + "\n")
    print(table(merged([], rows)))


if __name__ == "__main__":
    main()
