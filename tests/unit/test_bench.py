import inspect
import io
import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

from bench import aiware, floor, kili, ours, theirs
from bench.__main__ import BENCHMARKS, PARAMETERS, RESOURCES, SCENARIOS, Benchmark, benchmark_rows
from bench.inputs import INPUTS
from bench.invocation import webhook_answer
from bench.report import Row, merged, row, table
from local.simulators.aiware import samples
from local.template import ROOT, functions

TIME = Row("region", 1.0, 60.0, 60.0, "s", "one note")
MEMORY = Row("region_memory", 200.0, 3000.0, 15.0, "MB", "another note")


@pytest.mark.parametrize(
    ("ours", "theirs", "unit", "expected"),
    [
        pytest.param([0.5, 9.0, 0.25], [6.0, 4.0], "s", (0.5, 5.0, 10.0), id="medians, and less is better"),
        pytest.param([2.0], [1.0], "s", (2.0, 1.0, 0.5), id="a ratio below 1 when theirs is better"),
        pytest.param([30.0], [20.0], "pictures/s", (30.0, 20.0, 1.5), id="more of a rate is better"),
        pytest.param([0.0123456], [1.0], "s", (0.01235, 1.0, 81.0), id="rounded after the ratio"),
        pytest.param([2.0], [], "s", (2.0, None, None), id="no other side"),
    ],
)
def test_row_has_the_medians_and_how_many_times_better_ours_is(ours, theirs, unit, expected):
    assert row("work", ours, theirs, unit, "note") == Row("work", *expected, unit, "note")


def test_new_rows_replace_earlier_ones_of_the_same_name_and_all_are_sorted():
    new = TIME._replace(ours=0.5, ratio=120.0)
    assert merged([MEMORY, TIME], [new]) == [new, MEMORY]


def test_table_has_a_heading_and_aligned_columns_and_leaves_unknown_values_empty():
    heading, *lines = table([TIME, Row("job", 2.0, None, None, "s", "another note")]).splitlines()
    assert [line.split()[0] for line in lines] == ["region", "job"]
    assert lines[1].split() == ["job", "2.0", "s", "another", "note"]
    assert heading.index("note") == lines[0].index("one note") == lines[1].index("another note")


class Sides:
    """Replaces the processes by the measurements of each side's runs."""

    def __init__(self, **runs: list[tuple[float, float]]) -> None:
        self.runs = runs
        self.order: list[str] = []

    def run(self, side: str, benchmark: Benchmark) -> dict:
        self.order.append(side)
        seconds, peak_mb = self.runs[side].pop(0)
        return {"seconds": seconds, "peak_mb": peak_mb, "did": f"what {side} did", "on": "Python"}


def test_benchmark_makes_a_row_of_time_and_one_of_memory():
    sides = Sides(ours=[(1.0, 50.0), (3.0, 70.0)], theirs=[(10.0, 600.0)])
    time, memory = benchmark_rows("work", Benchmark("work", runs_of_ours=2, runs_of_other=1), sides)
    assert time[:5] == ("work", 2.0, 10.0, 5.0, "s")
    assert memory[:5] == ("work_memory", 60.0, 600.0, 10.0, "MB")
    assert "ours: what ours did (median of 2); theirs: what theirs did (one run); Python" in time.note
    assert "imports and input included" in memory.note


def test_benchmark_of_a_rate_makes_one_row_of_items_per_second():
    sides = Sides(ours=[(2.0, 1.0)], floor=[(1.0, 1.0)])
    benchmark = Benchmark("work", runs_of_ours=1, runs_of_other=1, other="floor", rate=(10, "pictures"))
    (rate,) = benchmark_rows("work", benchmark, sides)
    assert rate[:5] == ("work", 5.0, 10.0, 0.5, "pictures/s")
    assert "floor: what floor did" in rate.note


def test_sides_take_turns_and_warm_up_runs_do_not_count():
    sides = Sides(ours=[(9.0, 9.0), (1.0, 1.0), (1.0, 1.0)], theirs=[(9.0, 9.0), (2.0, 2.0)])
    time, _ = benchmark_rows("work", Benchmark("work", runs_of_ours=2, runs_of_other=1, warm_up=1), sides)
    assert sides.order == ["ours", "theirs", "ours", "theirs", "ours"]
    assert time[1:3] == (1.0, 2.0)


def test_both_sides_of_every_benchmark_take_its_inputs():
    for benchmark in BENCHMARKS.values():
        other = {"theirs": theirs, "floor": floor}[benchmark.other]
        event = ("event",) if benchmark.with_kili else ()
        inspect.signature(getattr(ours, benchmark.function)).bind(*benchmark.inputs, *event)
        inspect.signature(getattr(other, benchmark.function)).bind(
            *benchmark.inputs, *benchmark.inputs_of_other, *event
        )


def test_every_benchmark_names_a_function_of_the_template_and_a_python_that_make_sets():
    vendors = [benchmark.vendor for benchmark in BENCHMARKS.values()]
    assert {vendor.function for vendor in vendors} <= {function.name for function in functions(PARAMETERS, RESOURCES)}
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"{vendor.python}=.tools/" in makefile for vendor in vendors if vendor.python)


def test_every_scenario_is_known_to_the_process_of_the_stack():
    for scenario in SCENARIOS.values():
        name, *numbers = scenario.arguments
        inspect.signature(aiware.SCENARIOS[name]).bind(*map(int, numbers))


def test_modules_of_the_sides_import_nothing_slow_before_the_measurement():
    script = "import sys; sys.path.append(sys.argv[1]); import bench.ours, bench.theirs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, ROOT], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    assert "bench.theirs" in loaded
    assert not {"asyncio", "json", "numpy", "pathlib", "typing"} & set(loaded)


def test_every_input_belongs_to_a_benchmark():
    names = {name for benchmark in BENCHMARKS.values() for name in benchmark.inputs + benchmark.inputs_of_other}
    assert names == set(INPUTS)


@pytest.mark.parametrize("name", ["nuclei_1k", "points_1m_dense"])
def test_an_input_is_always_the_same(name):
    assert INPUTS[name]() == INPUTS[name]()


def array(name: str) -> np.ndarray:
    return np.load(io.BytesIO(INPUTS[name]()))


def test_nuclei_have_their_own_cells_row_by_row_and_a_radius_of_12_to_24_px():
    xy = array("nuclei_1k")
    assert (xy.shape, xy.dtype) == ((1000, 20, 2), np.int32)
    cells = xy // 100
    assert (cells == cells[:, :1]).all()
    column, row = cells[:, 0].T
    np.testing.assert_array_equal(row * 32 + column, np.arange(1000))
    radii = np.linalg.norm(xy % 100 - 50, axis=-1)
    assert 11 < radii.min() < 13  # rounded to whole pixels
    assert 23 < radii.max() < 25


@pytest.mark.parametrize(("name", "per_tile"), [("points_1m_dense", 164), ("points_1m_sparse", 6.5)])
def test_points_are_as_dense_as_their_name_says(name, per_tile):
    xy = array(name)
    assert xy.shape == (1_000_000, 2)
    assert 256**2 * len(xy) / np.prod(xy.max(0) + 1.0) == pytest.approx(per_tile, rel=0.01)


def test_comb_has_a_tooth_at_every_second_vertex():
    xy = array("comb_8k")
    assert xy.shape == (1, 8000, 2)
    assert xy[0, :4].tolist() == [[0, 0], [2, 100], [4, 0], [6, 100]]


def test_far_outline_is_small_and_far():
    xy = array("far_outline")
    assert xy.shape == (1, 20, 2)
    assert np.ptp(xy, axis=1).tolist() == [[20, 20]]
    assert xy.mean((0, 1)).tolist() == [100_000, 100_000]


def test_our_side_writes_all_outlines_to_the_zip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").write_bytes(INPUTS["nuclei_1k"]())
    assert "1,000" in ours.anno2_polygons("nuclei")()
    with zipfile.ZipFile("ours.zip") as archive:
        assert b'"numItems": 1000' in archive.read("system_metadata.json")


@pytest.fixture
def jpeg(tmp_path):
    """A dark square with a hole on a bright background, and a dark pixel that opening removes."""
    picture = np.full((64, 64, 3), 230, np.uint8)
    picture[8:40, 8:40] = 40
    picture[20:28, 20:28] = 230
    picture[56, 56] = 40
    file = tmp_path / "jpeg"
    file.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return file


def test_floor_finds_dark_regions_and_holes_without_specks(jpeg):
    rings, hierarchy = floor.dark_contours(jpeg.read_bytes())
    assert [cv2.boundingRect(ring) for ring in rings] == [(8, 8, 32, 32), (19, 19, 10, 10)]
    assert hierarchy[0, :, 3].tolist() == [-1, 0]


def test_both_sides_turn_the_same_contours_into_outlines(jpeg):
    vertices = sum(map(len, floor.dark_contours(jpeg.read_bytes())[0]))
    assert f"2 outlines, {vertices} vertices" in ours.contours(str(jpeg))()
    assert f"2 polygons, {vertices} vertices" in theirs.contours(str(jpeg))()


def test_floor_compresses_the_members_of_its_input(jpeg, tmp_path):
    members = tmp_path / "members"
    with zipfile.ZipFile(members, "w") as plain:
        plain.writestr("0/encoded_polygons.bin", bytes(1_500_000))
        plain.writestr("1/encoded_polygons.bin", bytes(500_000))
    assert "2.00 MB of our zip's members" in floor.region(str(jpeg), str(members))()


def test_label_of_kilis_page_has_three_boxes_and_one_is_larger_than_a_third():
    boxes = [box["boundingPoly"][0]["normalizedVertices"] for box in kili.json_response()["JOB_0"]["annotations"]]
    sizes = [np.ptp([(corner["x"], corner["y"]) for corner in box], axis=0).prod() for box in boxes]
    assert [size > 0.33 for size in sizes] == [True, False, False]


def test_run_fails_when_the_webhook_did_not_do_what_the_rules_require(monkeypatch):
    expected = {"issues": 2, "sent_back": True, "requests": 4}
    process = object.__new__(kili.Kili)
    monkeypatch.setattr(kili.Kili, "_ask", lambda self, label: expected)
    assert process.outcome("label") == "2 issues raised, asset sent back, 4 requests to Kili"
    for wrong in ({"issues": 1}, {"issues": 3}, {"sent_back": False}):
        monkeypatch.setattr(kili.Kili, "_ask", lambda self, label, wrong=wrong: expected | wrong)
        with pytest.raises(ValueError, match="should have 2 issues"):
            process.outcome("label")


@pytest.fixture
def event_file(tmp_path):
    file = tmp_path / "event"
    file.write_text(json.dumps(kili.event({"eventType": "onSubmit"}, "a secret")))
    return str(file)


def test_handler_gets_the_event_as_from_the_api(event_file):
    def handler(event, context):
        assert context.get_remaining_time_in_millis() > 0
        received = [event["httpMethod"], event["path"], event["headers"]["Authorization"], json.loads(event["body"])]
        return {"statusCode": 200, "body": json.dumps(received)}

    assert webhook_answer(handler, event_file) == ["POST", "/kili", "a secret", {"eventType": "onSubmit"}]


def test_run_fails_when_the_webhook_fails(event_file):
    with pytest.raises(ValueError, match="answered 401: no"):
        webhook_answer(lambda event, context: {"statusCode": 401, "body": "no"}, event_file)


@pytest.fixture
def photos(tmp_path):
    """A zip of two pictures; the first contains a face."""
    file = tmp_path / "photos"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("0.jpg", samples.face_jpeg())
        archive.writestr("1.jpg", samples.faceless_jpeg())
    return str(file)


def test_our_side_finds_the_faces_of_pictures(photos):
    assert ours.images(photos)() == "1 faces as AION"


def test_floor_makes_exactly_the_calls_of_the_detector(photos):
    calls = floor.detector_calls([floor.decoded(samples.face_jpeg()), floor.decoded(samples.faceless_jpeg())])
    with_face, without = [[call.func.__name__ for call in picture_calls] for picture_calls in calls]
    assert with_face.count("detectMultiScale3") >= 3  # a scan, and a check by each cascade
    assert "detectMultiScale3" in without
    assert f"{len(with_face) + len(without)} calls of OpenCV" in floor.images(photos)()


def test_recorded_call_returns_the_same_when_it_is_repeated():
    calls = []
    recorder = floor.Recorder(cv2, calls)
    grey = recorder.cvtColor(floor.decoded(samples.face_jpeg()), recorder.COLOR_BGR2GRAY)
    (repeated,) = (call() for call in calls)
    np.testing.assert_array_equal(grey, repeated)


def test_both_sides_sample_the_same_frames_of_a_video(tmp_path):
    file = tmp_path / "video"
    file.write_bytes(samples.video(5).content)
    assert "appearances" in ours.video_frames(str(file))()
    for side in (floor.video_frames, floor.video_frames_seeking):
        assert side(str(file))().endswith("on 5 of them")
    for read, sought in zip(floor._reading(str(file)), floor._seeking(str(file)), strict=True):
        np.testing.assert_array_equal(read, sought)
