import pytest

from bench import ours, theirs
from bench.__main__ import BENCHMARKS
from bench.inputs import INPUTS
from bench.report import Row, merged, row, table

TIME = Row("region", 1.0, 60.0, 60.0, "s", "one note")
MEMORY = Row("region_memory", 200.0, 3000.0, 15.0, "MB", "another note")


def test_a_row_holds_the_medians_and_how_many_times_less_ours_takes():
    assert row("work", [0.5, 9.0, 0.25], [6.0, 4.0], "s", "note") == Row("work", 0.5, 5.0, 10.0, "s", "note")


def test_a_ratio_below_one_says_that_theirs_is_better():
    assert row("work", [2.0], [1.0], "s", "").ratio == 0.5


def test_figures_are_rounded_only_after_the_ratio_is_taken():
    assert row("work", [0.0123456], [1.0], "s", "")[1:4] == (0.01235, 1.0, 81.0)


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


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_two_sides_and_its_inputs(name):
    benchmark = BENCHMARKS[name]
    assert callable(getattr(ours, benchmark.function))
    assert callable(getattr(theirs, benchmark.function))
    assert set(benchmark.inputs) <= set(INPUTS)
