"""YAML as nodes with their places."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.yaml_marks import YamlError, compose, position

ANCHORS = "anchors and aliases (&, *) are not accepted: repeat the value instead"


def mistakes(text: str) -> list[str]:
    with pytest.raises(YamlError) as raised:
        compose(text)
    return str(raised.value).splitlines()


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_nodes_know_their_line_and_column(monkeypatch, loader):
    if loader == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader")
    root = compose("a: 1\nb:\n  - x\n  - 'y'\n")
    (_, one), (_, listed) = root.value
    assert [position(node) for node in (root, one, *listed.value)] == [(1, 1), (1, 4), (3, 5), (4, 5)]
    assert [bool(item.style) for item in listed.value] == [False, True]


@pytest.mark.parametrize("text", ["", "# nothing", "\ufeff"])
def test_text_without_a_document_has_no_node(text):
    assert compose(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\nb: 2", ["2:1: only one YAML document is accepted"]),
        ("a: [}", ["1:5: not YAML: did not find expected node content"]),
        ("a: 1\n\tb: 2", ["2:1: not YAML: found a tab character that violates indentation"]),
        ("a: 1\n\n  a\x07", ["3:4: this character is not allowed in YAML"]),
        ("a: !!map {}\nb: !x y", ["1:4: tags (!) are not accepted", "2:4: tags (!) are not accepted"]),
        ("a: &a 1\nb: *a", [f"{line}:4: {ANCHORS}" for line in (1, 2)]),
        ("a: !x y\nb: [}", ["1:4: tags (!) are not accepted", "2:5: not YAML: did not find expected node content"]),
    ],
)
def test_every_part_that_is_not_accepted_is_reported_with_its_place(text, expected):
    assert mistakes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        "a: &a [*a]",
        "!!python/object/apply:os.system ['true']",
        "? " * 1000,
        "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 700)),
    ],
)
def test_harmful_text_is_refused(text):
    assert mistakes(text)


@given(st.text() | st.text("abc:-[]{}#&*!|>'\"%@` \n0~?,", max_size=60))
def test_any_text_is_composed_or_refused_with_a_place(text):
    try:
        compose(text)
        reported = []
    except YamlError as error:
        reported = error.mistakes or [(0, 0, "")]
    assert all(line >= 1 and column >= 1 and problem for line, column, problem in reported)
