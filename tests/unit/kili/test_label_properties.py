"""Any label is read: whatever is in it is read or named as a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from labels import SAMPLES
from strategies import ANYTHING, mutated

from annohooks.kili.label.model import Reading
from annohooks.kili.label.reader import PSEUDO_JOBS, read
from annohooks.kili.label.shapes import LARGEST


@given(ANYTHING | st.text() | st.binary())
def test_reading_never_raises(label):
    assert isinstance(read(label), Reading)


def annotations_of(label: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Path, job and value of every annotation."""
    for key, value in label.items():
        if not isinstance(value, dict) or key in PSEUDO_JOBS:
            continue
        is_frame = (key.isdigit() or key == "assetLevel") and not isinstance(value.get("annotations"), list)
        for job, response in value.items() if is_frame else [(key, value)]:
            listed = response.get("annotations") if isinstance(response, dict) and job not in PSEUDO_JOBS else None
            for index, annotation in enumerate(listed if isinstance(listed, list) else ()):
                yield (
                    f"{key}.{job}.annotations[{index}]" if is_frame else f"{job}.annotations[{index}]",
                    job,
                    annotation,
                )


def is_read(reading: Reading, path: str, job: str, annotation: Any) -> bool:
    mid = annotation.get("mid") if isinstance(annotation, dict) else None
    parts = [*reading.objects, *reading.relations]
    return (
        any(part.path == path or (mid and (part.job, part.mid) == (job, mid)) for part in parts)
        or any(answer.path == path for answer in reading.answers)
        or any(path.startswith(fault.path) or fault.path.startswith(path) for fault in reading.faults)
    )


@given(mutated())
def test_every_annotation_is_read_or_named_as_a_fault(label):
    reading = read(label)
    for path, job, annotation in annotations_of(label) if isinstance(label, dict) else ():
        assert annotation == {} or is_read(reading, path, job, annotation), path


@given(mutated())
def test_all_coordinates_are_finite_and_limited(label):
    for obj in read(label).objects:
        for shape in obj.shapes:
            assert all(len(ring) >= 3 for ring in shape.rings)
            for x, y in [*shape.points, *(point for ring in shape.rings for point in ring)]:
                assert type(x) is type(y) is float
                assert max(abs(x), abs(y)) <= LARGEST


@given(st.sampled_from(sorted(SAMPLES)), ANYTHING)
def test_malformed_job_does_not_change_the_others(name, anything):
    response = SAMPLES[name].response
    before = read(response)
    if name == "video":
        reading = read({frame: {**jobs, "WRONG": anything} for frame, jobs in response.items()})
    else:
        reading = read({**response, "WRONG": anything})
    assert [obj for obj in reading.objects if obj.job != "WRONG"] == list(before.objects)
    assert set(before.answers) <= set(reading.answers)
    assert set(before.relations) <= set(reading.relations)
