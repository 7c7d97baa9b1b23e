"""text: transcriptions and the contents of named entities."""

from __future__ import annotations

import re

import pytest
from cases import InMemory, findings, frames, objects, reported, ruleset, verdict
from hypothesis import given
from hypothesis import strategies as st
from labels import classified, entity, rectangle

from annohooks.kili.rules.texts import LONGEST_FOR_PATTERNS, LONGEST_TEXT, MOST_WORDS, _searches

IBANS = (
    "GB82 WEST 1234 5698 7654 32",
    "DE89 3704 0044 0532 0130 00",
    "FR14 2004 1010 0505 0001 3M02 606",
    "NO93 8601 1117 947",
    "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
)


def text(parameters: str, scope: str = "") -> str:
    return f"check: text\nscope: {{{scope}}}\nparameters: {{{parameters}}}"


def problem(parameters: str, transcription: str) -> str:
    """The text of the issue about a transcription; "" if it is accepted."""
    return "".join(issue for _, issue in reported(text(parameters), {"COMMENT": {"text": transcription}}))


@pytest.mark.parametrize(
    ("parameters", "right", "wrong", "issue"),
    [
        ("pattern: ^FR", "FR76", "DE89", 'COMMENT "DE89" does not match ^FR'),
        ("pattern: '^FR[0-9]+$'", " FR12\n", "FR", 'COMMENT "FR" does not match ^FR[0-9]+$'),
        ("forbidden_pattern: '[0-9]'", "FR", "FR76", 'COMMENT "FR76" may not match [0-9]'),
        ("min_length: 3", "abc", "  ab  ", 'COMMENT "ab" has 2 characters, fewer than 3'),
        ("min_length: 1", "a", " ", "COMMENT is empty"),
        ("max_length: 3", "  abc  ", "abcd", 'COMMENT "abcd" has 4 characters, more than 3'),
        ("allowed: [DOLLAR, EURO]", "EURO", "Euro", 'COMMENT "Euro" is not one of DOLLAR, EURO'),
        ("allowed: NO", "NO", "False", 'COMMENT "False" is not one of NO'),
        ("required_words: [net, total]", "total: net 3", "total: network", 'COMMENT "total: network" lacks "net"'),
        ("forbidden_words: tbd", "tbdx TBD", "x (tbd)", 'COMMENT "x (tbd)" may not contain "tbd"'),
        ("format: iban", IBANS[0], "FR76 3000", 'COMMENT "FR76 3000" is not an IBAN'),
        ("format: date", "2024-02-29", "2023-02-29", 'COMMENT "2023-02-29" is not a date such as 2024-06-13'),
        ("format: number", "-1.5e3", "1,5", 'COMMENT "1,5" is not a number'),
    ],
)
def test_text_has_to_fit_the_parameters(parameters, right, wrong, issue):
    assert problem(parameters, right) == ""
    assert problem(parameters, wrong) == issue


def test_issue_quotes_the_beginning_of_a_text_on_one_line():
    assert problem("format: iban", "x" * 61) == f'COMMENT "{"x" * 57}..." is not an IBAN'
    assert problem("format: iban", "x" * 60) == f'COMMENT "{"x" * 60}" is not an IBAN'
    assert problem("format: iban", "a\n\t b") == 'COMMENT "a b" is not an IBAN'


@pytest.mark.parametrize(
    ("parameters", "transcription"),
    [
        ("pattern: ^fr", "FR76"),
        ("allowed: euro", "EURO"),
        ("required_words: net", "NET"),
        ("allowed: strasse", "STRASSE"),
    ],
)
def test_case_can_be_ignored(parameters, transcription):
    assert problem(parameters, transcription) != ""
    assert problem(f"{parameters}, ignore_case: true", transcription) == ""


def test_forbidden_words_are_found_in_any_case_if_it_is_ignored():
    assert problem("forbidden_words: tbd, ignore_case: true", "TBD") == 'COMMENT "TBD" may not contain "tbd"'


@pytest.mark.parametrize("parameters", ["pattern: x", "required_words: x", "allowed: x", "format: iban"])
def test_only_the_length_of_a_blank_text_is_checked(parameters):
    assert problem(parameters, "   ") == ""


@pytest.mark.parametrize("scope", ["job: TRANSCRIPTION_JOB, category: IBAN", "job: JOB_0, category: IBAN"])
def test_text_of_an_object_is_reported_on_the_object(scope):
    label = objects(
        *(
            rectangle(mid, category, children={"TRANSCRIPTION_JOB": {"text": transcription}})
            for mid, category, transcription in (("a", "IBAN", "FR76"), ("b", "IBAN", "XX12"), ("c", "NAME", "Kay"))
        )
    )
    assert reported(text("pattern: ^FR", scope), label) == [("b", 'TRANSCRIPTION_JOB "XX12" does not match ^FR')]


def test_text_below_a_classification_is_in_the_scope_of_its_category():
    label = {"VERDICT": classified("NO", WHY={"text": "because"})}
    ((mid, issue),) = reported(text("forbidden_words: because", "category: 'NO'"), label)
    assert (mid, issue) == (None, 'WHY "because" may not contain "because"')


def test_content_of_an_entity_is_a_text():
    label = objects(entity("a", "CITY", "Paris", 3), entity("b", "CITY", "paris", 30), job="NER")
    rule = text("pattern: '^[A-Z]'", "category: CITY, tool: entity")
    assert reported(rule, label) == [("b", 'CITY "paris" does not match ^[A-Z]')]


def test_same_text_on_several_frames_is_reported_once():
    plate = rectangle("a", children={"PLATE": {"text": "?"}})
    expected = [("a", 'PLATE "?" in frame 3 has 1 character, fewer than 2')]
    assert reported(text("min_length: 2"), frames(f3=[plate], f4=[plate])) == expected


def test_different_texts_on_pages_and_frames_are_each_reported():
    rule = text("forbidden_words: tbd") + "\nmessage: '{text} {where}'"
    pages = [{"text": note, "pageNumberArray": [page], "mid": note} for page, note in ((1, "tbd"), (2, "tbd, too"))]
    assert reported(rule, {"PAGE": {"annotations": pages}}) == [(None, "tbd on page 1"), (None, "tbd, too on page 2")]
    video = {str(frame): {"NOTE": {"text": note}} for frame, note in ((1, "tbd"), (7, "tbd, too"))}
    assert reported(rule, video) == [(None, "tbd in frame 1"), (None, "tbd, too in frame 7")]


NOTE = {"NOTE": {"text": "tbd"}}


@pytest.mark.parametrize(
    ("label", "category"),
    [
        (NOTE, ""),
        ({"KIND": classified("A", "B", **NOTE)}, "B"),
        ({"KIND": classified("A", WHY=classified("C", **NOTE))}, "C"),
        ({"KIND": {**classified("A", "B"), "children": NOTE}}, "A, B"),
        (objects({**rectangle(children=NOTE), "categories": classified("A", "B")["categories"]}), "A, B"),
        (objects(rectangle(children={"KIND": classified("A", **NOTE)})), "A"),
    ],
)
def test_category_of_a_text_is_the_one_it_is_nested_in(label, category):
    rule = text("forbidden_words: tbd") + "\nmessage: 'in: {category}'"
    assert [issue for _, issue in reported(rule, label)] == [f"in: {category}".strip()]


def test_placeholder_for_the_text_is_one_line_of_limited_length():
    rule = text("max_length: 1") + '\nmessage: "{length}: {text}"'
    assert reported(rule, {"A": {"text": "a\n\tb{c}"}}) == [(None, "7: a b{c}")]
    assert reported(rule, {"A": {"text": "x" * 5000}}) == [(None, f"5000: {'x' * 197}...")]


@pytest.mark.parametrize(
    ("parameters", "longest", "issue"),
    [
        ("pattern: x", LONGEST_FOR_PATTERNS, "does not match x"),
        ("forbidden_pattern: y", LONGEST_FOR_PATTERNS, "may not match y"),
        ("required_words: x", LONGEST_TEXT, 'lacks "x"'),
    ],
)
def test_text_that_is_too_long_is_unchecked(parameters, longest, issue):
    label = {"A": {"text": f" {'y' * longest} "}, "B": {"text": "y"}}
    assert [finding.text[-len(issue) :] for finding in findings(text(parameters), label)] == [issue, issue]
    label["A"]["text"] = "y" * (longest + 1)
    found, reasons, _ = verdict(text(parameters), label)
    assert [finding.text for finding in found] == [f'B "y" {issue}']
    assert reasons == {"rule-1": f"1 text of more than {longest} characters"}


def test_texts_that_no_time_is_left_for_are_unchecked():
    class Ending:
        """A deadline that has passed at the fourth look."""

        looks = 4

        def remaining_s(self):
            self.looks -= 1
            return float(self.looks > 0)

    case = InMemory({name: {"text": "x"} for name in "ABCDE"})
    case.deadline = Ending()
    found, reasons, _ = ruleset(text("pattern: y")).find(case)
    assert [finding.subject for finding in found] == ["A", "B"]
    assert reasons == {"rule-1": "there was no time to check all texts"}


def test_patterns_of_many_words_are_compiled_once():
    words = ", ".join(f"word{n}" for n in range(MOST_WORDS))
    before = _searches.cache_info()
    label = {"A": {"text": "some words"}, "B": {"text": "word999, too"}}
    expected = [(None, 'B "word999, too" may not contain "word999"')]
    assert reported(text(f"forbidden_words: [{words}]"), label) == expected
    after = _searches.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)


@pytest.mark.parametrize("transcription", ["foo bar", "foo\nbar", "a foo  bar.", "foo\u00a0bar"])
def test_any_white_space_separates_the_words_of_a_phrase(transcription):
    assert problem("forbidden_words: foo bar", transcription).endswith('may not contain "foo bar"')
    assert problem("forbidden_words: foo bar", transcription.replace("foo", "foobar")) == ""


@pytest.mark.parametrize("iban", IBANS)
def test_real_ibans_are_accepted_with_any_spaces(iban):
    assert {problem("format: iban", iban.replace(" ", space)) for space in ("", " ", "\u00a0", "\u202f")} == {""}


@given(st.sampled_from(IBANS), st.integers(0, 40), st.sampled_from("0123456789"), st.integers(1, 8))
def test_changed_iban_is_refused(iban, at, digit, cut):
    """One changed digit changes the remainder, since 97 is a prime; a letter counts as two digits and may not."""
    compact = iban.replace(" ", "")
    at %= len(compact)
    if compact[at].isdigit() and compact[at] != digit:
        assert problem("format: iban", compact[:at] + digit + compact[at + 1 :]) != ""
    assert problem("format: iban", iban[:-cut].rstrip()) != ""
    assert problem("format: iban", f"ZZ{iban[2:]}") != ""


@given(st.dates())
def test_every_date_is_accepted_with_hyphens_only(day):
    assert problem("format: date", day.isoformat()) == ""
    assert problem("format: date", day.isoformat().replace("-", "")) != ""


@given(
    st.text("0123456789+-.eE ,", min_size=1, max_size=8).filter(str.strip)
    | st.floats(allow_nan=False, allow_infinity=False).map(str)
    | st.integers().map(str)
)
def test_numbers_are_those_that_python_reads(number):
    try:
        float(number)
    except ValueError:
        assert problem("format: number", number) != ""
    else:
        assert problem("format: number", number) == ""


@given(
    st.text("ab1_ -.\n\u00a0é", max_size=20).map(lambda transcription: " ".join(transcription.split())),
    st.text("ab1_ -.é", min_size=1, max_size=5).filter(lambda word: word == " ".join(word.split())),
)
def test_words_are_found_only_as_whole_words(transcription, word):
    starts = [n for n in range(len(transcription)) if transcription.startswith(word, n)]
    neighbours = [f"{transcription[n - 1 : n] if n else ''} {transcription[n + len(word) :][:1]}" for n in starts]
    expected = any(not re.search(r"\w", neighbour) for neighbour in neighbours)
    quoted = word.replace("'", "''")
    assert bool(problem(f"forbidden_words: '{quoted}'", transcription)) == (expected and bool(transcription.strip()))
