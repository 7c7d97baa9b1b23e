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
from bench.__main__ import BENCHMARKS, PARAMETERS, RESOURCES, SCENARIOS, Benchmark, measured
from bench.inputs import INPUTS
from bench.invocation import answered
from bench.report import Row, merged, row, table
from local.simulators.aiware import samples
from local.template import ROOT, functions

TIME = Row("region", 1.0, 60.0, 60.0, "s", "one note")
MEMORY = Row("region_memory", 200.0, 3000.0, 15.0, "MB", "another note")


def test_a_row_holds_the_medians_and_how_many_times_less_ours_takes():
    assert row("work", [0.5, 9.0, 0.25], [6.0, 4.0], "s", "note") == Row("work", 0.5, 5.0, 10.0, "s", "note")


def test_a_ratio_below_one_says_that_theirs_is_better():
    assert row("work", [2.0], [1.0], "s", "").ratio == 0.5


def test_figures_are_rounded_only_after_the_ratio_is_taken():
    assert row("work", [0.0123456], [1.0], "s", "")[1:4] == (0.01235, 1.0, 81.0)


def test_of_a_rate_more_is_better():
    assert row("work", [30.0], [20.0], "pictures/s", "").ratio == 1.5


def test_a_row_without_another_side_has_neither_its_figure_nor_a_ratio():
    assert row("work", [2.0], [], "s", "note") == Row("work", 2.0, None, None, "s", "note")


def test_rows_of_benchmarks_not_run_stay_and_the_others_are_replaced():
    anew = TIME._replace(ours=0.5, ratio=120.0)
    assert merged([MEMORY, TIME], [anew]) == [anew, MEMORY]


def test_rows_are_sorted_by_name():
    assert merged([], [MEMORY, TIME]) == [TIME, MEMORY]


def test_the_table_has_a_heading_and_its_columns_stand_below_each_other():
    heading, *lines = table([TIME, MEMORY]).splitlines()
    assert [line.split()[0] for line in lines] == ["region", "region_memory"]
    assert [lines[0].index(" s  ") + 1, lines[1].index(" MB ") + 1] == [heading.index("unit")] * 2
    assert heading.index("note") == lines[0].index("one note") == lines[1].index("another note")


def test_the_table_leaves_empty_what_is_not_known():
    line = table([Row("job", 2.0, None, None, "s", "note")]).splitlines()[1]
    assert line.split() == ["job", "2.0", "s", "note"]


class Sides:
    """Stands for the processes: what each run of a side takes, in turn."""

    def __init__(self, **runs: list[tuple[float, float]]) -> None:
        self.left = runs
        self.order: list[str] = []

    def run(self, side: str, benchmark: Benchmark) -> dict:
        self.order.append(side)
        seconds, peak_mb = self.left[side].pop(0)
        return {"seconds": seconds, "peak_mb": peak_mb, "did": f"what {side} did", "on": "Python"}


def test_a_benchmark_makes_a_row_of_time_and_one_of_memory():
    sides = Sides(ours=[(1.0, 50.0), (3.0, 70.0)], theirs=[(10.0, 600.0)])
    time, memory = measured("work", Benchmark("work", runs_of_ours=2, runs_of_other=1), sides)
    assert time[:5] == ("work", 2.0, 10.0, 5.0, "s")
    assert memory[:5] == ("work_memory", 60.0, 600.0, 10.0, "MB")
    assert "ours: what ours did (median of 2); theirs: what theirs did (one run); Python" in time.note
    assert "imports and input included" in memory.note


def test_a_benchmark_of_a_rate_makes_one_row_of_things_a_second():
    sides = Sides(ours=[(2.0, 1.0)], floor=[(1.0, 1.0)])
    benchmark = Benchmark("work", runs_of_ours=1, runs_of_other=1, other="floor", rate=(10, "pictures"))
    (rate,) = measured("work", benchmark, sides)
    assert rate[:5] == ("work", 5.0, 10.0, 0.5, "pictures/s")


def test_sides_take_turns_and_warm_up_runs_do_not_count():
    sides = Sides(ours=[(9.0, 9.0), (1.0, 1.0), (1.0, 1.0)], theirs=[(9.0, 9.0), (2.0, 2.0)])
    time, _ = measured("work", Benchmark("work", runs_of_ours=2, runs_of_other=1, warm_up=1), sides)
    assert sides.order == ["ours", "theirs", "ours", "theirs", "ours"]
    assert time[1:3] == (1.0, 2.0)


def test_the_note_says_when_ours_stands_beside_the_floor():
    sides = Sides(ours=[(2.0, 1.0)], floor=[(1.0, 1.0)])
    time, _ = measured("work", Benchmark("work", runs_of_ours=1, runs_of_other=1, other="floor"), sides)
    assert time.ratio == 0.5
    assert "floor: what floor did" in time.note


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_two_sides_that_take_its_inputs(name):
    benchmark = BENCHMARKS[name]
    other = {"theirs": theirs, "floor": floor}[benchmark.other]
    event = ("event",) if benchmark.with_kili else ()
    inspect.signature(getattr(ours, benchmark.function)).bind(*benchmark.inputs, *event)
    inspect.signature(getattr(other, benchmark.function)).bind(*benchmark.inputs, *benchmark.inputs_of_other, *event)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_knows_a_function_of_the_template_and_a_python_that_make_names(name):
    vendor = BENCHMARKS[name].vendor
    assert vendor.function in {function.name for function in functions(PARAMETERS, RESOURCES)}
    assert vendor.python is None or f"{vendor.python}=.tools/" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_one_that_the_process_of_the_stack_knows(name):
    scenario, *numbers = SCENARIOS[name].arguments
    inspect.signature(aiware.SCENARIOS[scenario]).bind(*map(int, numbers))


def test_nothing_that_takes_time_is_imported_before_the_clock_runs():
    """Of a side's modules; it is what they import later that is timed."""
    script = "import sys; sys.path.append(sys.argv[1]); import bench.ours, bench.theirs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, ROOT], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    assert "bench.theirs" in loaded
    assert not {"asyncio", "json", "numpy", "pathlib", "typing"} & set(loaded)


def test_every_input_a_benchmark_names_can_be_made_and_none_is_left_over():
    named = {name for benchmark in BENCHMARKS.values() for name in benchmark.inputs + benchmark.inputs_of_other}
    assert named == set(INPUTS)


@pytest.mark.parametrize("name", ["nuclei_1k", "points_1m_dense", "comb_8k", "far_outline"])
def test_an_input_is_the_same_whenever_it_is_made(name):
    assert INPUTS[name]() == INPUTS[name]()


def array(name: str) -> np.ndarray:
    return np.load(io.BytesIO(INPUTS[name]()))


def test_nuclei_stand_in_cells_of_their_own_row_by_row():
    xy = array("nuclei_1k")
    assert (xy.shape, xy.dtype) == ((1000, 20, 2), np.int32)
    cells = xy // 100
    assert (cells == cells[:, :1]).all()
    column, row = cells[:, 0].T
    np.testing.assert_array_equal(row * 32 + column, np.arange(1000))


def test_nuclei_have_a_radius_of_12_to_24_px():
    radii = np.linalg.norm(array("nuclei_1k") % 100 - 50, axis=-1)
    assert 11 < radii.min() < 13  # rounded to whole pixels
    assert 23 < radii.max() < 25


@pytest.mark.parametrize(("name", "in_a_tile"), [("points_1m_dense", 164), ("points_1m_sparse", 6.5)])
def test_points_lie_as_densely_as_their_name_says(name, in_a_tile):
    xy = array(name)
    assert xy.shape == (1_000_000, 2)
    assert 256**2 * len(xy) / np.prod(xy.max(0) + 1.0) == pytest.approx(in_a_tile, rel=0.01)


def test_the_comb_has_a_tooth_at_every_other_vertex():
    xy = array("comb_8k")
    assert xy.shape == (1, 8000, 2)
    assert xy[0, :4].tolist() == [[0, 0], [2, 100], [4, 0], [6, 100]]


def test_the_far_outline_is_small_and_far():
    xy = array("far_outline")
    assert xy.shape == (1, 20, 2)
    assert np.ptp(xy, axis=1).tolist() == [[20, 20]]
    assert xy.mean((0, 1)).tolist() == [100_000, 100_000]


def test_our_side_writes_a_zip_of_all_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").write_bytes(INPUTS["nuclei_1k"]())
    assert "1,000" in ours.anno2_polygons("nuclei")()
    with zipfile.ZipFile("ours.zip") as written:
        assert b'"numItems": 1000' in written.read("system_metadata.json")


@pytest.fixture
def jpeg(tmp_path):
    """A dark square with a hole on a bright ground, and a dark pixel that opening removes."""
    picture = np.full((64, 64, 3), 230, np.uint8)
    picture[8:40, 8:40] = 40
    picture[20:28, 20:28] = 230
    picture[56, 56] = 40
    file = tmp_path / "jpeg"
    file.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return file


def test_the_floor_finds_dark_regions_and_holes_and_leaves_specks_out(jpeg):
    rings, hierarchy = floor.dark_contours(jpeg.read_bytes())
    assert [cv2.boundingRect(ring) for ring in rings] == [(8, 8, 32, 32), (19, 19, 10, 10)]
    assert hierarchy[0, :, 3].tolist() == [-1, 0]


def test_both_sides_turn_the_same_contours_into_outlines(jpeg):
    vertices = sum(map(len, floor.dark_contours(jpeg.read_bytes())[0]))
    assert f"2 outlines, {vertices} vertices" in ours.contours(str(jpeg))()
    assert f"2 polygons, {vertices} vertices" in theirs.contours(str(jpeg))()


def test_the_floor_compresses_the_members_it_is_given(jpeg, tmp_path):
    members = tmp_path / "members"
    with zipfile.ZipFile(members, "w") as plain:
        plain.writestr("0/encoded_polygons.bin", bytes(1_500_000))
        plain.writestr("1/encoded_polygons.bin", bytes(500_000))
    assert "2.00 MB of our zip's members" in floor.region(str(jpeg), str(members))()


def test_the_label_of_kilis_page_has_three_boxes_of_which_one_is_larger_than_a_third():
    boxes = [box["boundingPoly"][0]["normalizedVertices"] for box in kili.json_response()["JOB_0"]["annotations"]]
    sizes = [np.ptp([(corner["x"], corner["y"]) for corner in box], axis=0).prod() for box in boxes]
    assert [size > 0.33 for size in sizes] == [True, False, False]


def test_a_run_is_refused_when_its_label_is_not_what_it_should_have_become():
    class Said(kili.Kili):
        def __init__(self, known):
            self.known = known

        def _said(self, *line):
            return self.known

    right = {"issues": 2, "sent_back": True, "requests": 4}
    assert Said(right).checked("label") == "2 issues raised, asset sent back, 4 requests to Kili"
    for wrong in ({"issues": 1}, {"issues": 3}, {"sent_back": False}):
        with pytest.raises(ValueError, match="not what should become"):
            Said(right | wrong).checked("label")


@pytest.fixture
def event_file(tmp_path):
    file = tmp_path / "event"
    file.write_text(json.dumps(kili.event({"eventType": "onSubmit"}, "a secret")))
    return str(file)


def test_both_sides_get_the_event_that_a_function_gets_from_the_api(event_file):
    def handler(event, context):
        assert context.get_remaining_time_in_millis() > 0
        seen = [event["httpMethod"], event["path"], event["headers"]["Authorization"], json.loads(event["body"])]
        return {"statusCode": 200, "body": json.dumps(seen)}

    assert answered(handler, event_file) == ["POST", "/kili", "a secret", {"eventType": "onSubmit"}]


def test_a_run_whose_webhook_fails_is_refused(event_file):
    with pytest.raises(ValueError, match="answered 401: no"):
        answered(lambda event, context: {"statusCode": 401, "body": "no"}, event_file)


@pytest.fixture
def photos(tmp_path):
    """A zip of two pictures, a face in the first."""
    file = tmp_path / "photos"
    with zipfile.ZipFile(file, "w") as stored:
        stored.writestr("0.jpg", samples.face_jpeg())
        stored.writestr("1.jpg", samples.faceless_jpeg())
    return str(file)


def test_our_side_finds_the_faces_of_pictures(photos):
    assert ours.images(photos)() == "1 faces as AION"


def test_the_floor_makes_the_calls_that_the_detector_makes_and_no_others(photos):
    calls = floor.detecting([floor.decoded(samples.face_jpeg()), floor.decoded(samples.faceless_jpeg())])
    named = [[call.func.__name__ for call in of_picture] for of_picture in calls]
    assert all("detectMultiScale3" in of_picture for of_picture in named)
    assert named[0].count("detectMultiScale3") >= 3  # a scan, and a look by each cascade
    assert f"{len(named[0]) + len(named[1])} calls of OpenCV" in floor.images(photos)()


def test_what_is_noted_of_a_call_gives_the_same_when_it_is_made_again():
    calls = []
    noted = floor.Noted(cv2, calls)
    grey = noted.cvtColor(floor.decoded(samples.face_jpeg()), noted.COLOR_BGR2GRAY)
    (again,) = (call() for call in calls)
    np.testing.assert_array_equal(grey, again)


def test_both_sides_look_at_the_same_frames_of_a_video(tmp_path):
    file = tmp_path / "video"
    file.write_bytes(samples.video(5).content)
    assert "appearances" in ours.video_frames(str(file))()
    for side in (floor.video_frames, floor.video_frames_seeking):
        assert side(str(file))().endswith("on 5 of them")
    for read, gone_to in zip(floor._reading(str(file)), floor._seeking(str(file)), strict=True):
        np.testing.assert_array_equal(read, gone_to)
