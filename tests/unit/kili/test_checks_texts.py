"""What transcriptions and named entities say."""

from __future__ import annotations

import re

import pytest
from cases import InMemory, found, frames, objects, ruleset, told, verdict
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


def problem(parameters: str, said: str) -> str:
    """What is wrong with one transcription."""
    told_of = told(text(parameters), {"COMMENT": {"text": said}})
    return told_of[0][1] if told_of else ""


@pytest.mark.parametrize(
    ("parameters", "right", "wrong", "said"),
    [
        ("pattern: ^FR", "FR76", "DE89", 'COMMENT "DE89" does not match ^FR'),
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
def test_text_is_held_against_what_the_rule_says(parameters, right, wrong, said):
    assert problem(parameters, right) == ""
    assert problem(parameters, wrong) == said


def test_iban_with_wrong_check_digits_is_none():
    assert problem("format: iban", IBANS[0].replace("82", "83")) != ""


def test_issue_begins_with_the_beginning_of_a_long_text():
    assert problem("format: iban", "x" * 61) == f'COMMENT "{"x" * 57}..." is not an IBAN'
    assert problem("format: iban", "x" * 60) == f'COMMENT "{"x" * 60}" is not an IBAN'
    assert problem("format: iban", "a\n\t b") == 'COMMENT "a b" is not an IBAN'


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("pattern: ^fr", "FR76"),
        ("allowed: euro", "EURO"),
        ("required_words: net", "NET"),
        ("allowed: strasse", "STRASSE"),
    ],
)
def test_case_can_be_ignored(parameters, said):
    assert problem(parameters, said) != ""
    assert problem(f"{parameters}, ignore_case: true", said) == ""


def test_ignored_case_finds_forbidden_words_too():
    assert problem("forbidden_words: tbd, ignore_case: true", "TBD") == 'COMMENT "TBD" may not contain "tbd"'


@pytest.mark.parametrize(
    "parameters", ["pattern: x", "required_words: x", "allowed: x", "format: iban", "max_length: 3"]
)
def test_blank_text_is_only_asked_for_its_length(parameters):
    assert problem(parameters, "   ") == ""


def test_text_of_an_object_is_told_on_the_object():
    label = objects(
        rectangle("a", "IBAN", children={"TRANSCRIPTION_JOB": {"text": "FR76"}}),
        rectangle("b", "IBAN", children={"TRANSCRIPTION_JOB": {"text": "XX12"}}),
        rectangle("c", "NAME", children={"TRANSCRIPTION_JOB": {"text": "Kay"}}),
    )
    rule = text("pattern: ^FR", "job: TRANSCRIPTION_JOB, category: IBAN")
    assert told(rule, label) == [("b", 'TRANSCRIPTION_JOB "XX12" does not match ^FR')]
    by_the_object = text("pattern: ^FR", "job: JOB_0, category: IBAN")
    assert told(by_the_object, label) == [("b", 'TRANSCRIPTION_JOB "XX12" does not match ^FR')]


def test_text_below_a_classification_is_one():
    label = {"VERDICT": classified("NO", WHY={"text": "because"})}
    assert told(text("forbidden_words: because", "category: 'NO'"), label) == [
        (None, 'WHY "because" may not contain "because"')
    ]


def test_content_of_an_entity_is_a_text():
    label = objects(entity("a", "CITY", "Paris", 3), entity("b", "CITY", "paris", 30), job="NER")
    assert told(text("pattern: '^[A-Z]'", "category: CITY, tool: entity"), label) == [
        ("b", 'CITY "paris" does not match ^[A-Z]')
    ]


def test_frame_is_told():
    label = frames(f3=[rectangle("a", children={"PLATE": {"text": "?"}})])
    assert told(text("min_length: 2"), label) == [("a", 'PLATE "?" in frame 3 has 1 character, fewer than 2')]


def test_same_text_in_each_frame_is_told_once():
    read = rectangle("a", children={"PLATE": {"text": "?"}})
    assert len(told(text("min_length: 2"), frames(f3=[read], f4=[read]))) == 1


def test_each_text_that_is_wrong_is_told():
    pages = [{"text": said, "pageNumberArray": [page], "mid": said} for page, said in ((1, "tbd"), (2, "tbd, too"))]
    rule = text("forbidden_words: tbd") + "\nmessage: '{text} {where}'"
    assert told(rule, {"PAGE": {"annotations": pages}}) == [(None, "tbd on page 1"), (None, "tbd, too on page 2")]
    video = {str(frame): {"NOTE": {"text": said}} for frame, said in ((1, "tbd"), (7, "tbd, too"))}
    assert told(rule, video) == [(None, "tbd in frame 1"), (None, "tbd, too in frame 7")]


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ({"NOTE": {"text": "tbd"}}, ""),
        ({"KIND": classified("A", "B", NOTE={"text": "tbd"})}, "B"),
        ({"KIND": classified("A", WHY=classified("C", NOTE={"text": "tbd"}))}, "C"),
        ({"KIND": {**classified("A", "B"), "children": {"NOTE": {"text": "tbd"}}}}, "A, B"),
        (
            objects(
                {**rectangle(children={"NOTE": {"text": "tbd"}}), "categories": classified("A", "B")["categories"]}
            ),
            "A, B",
        ),
        (objects(rectangle(children={"KIND": classified("A", NOTE={"text": "tbd"})})), "A"),
    ],
)
def test_category_of_a_text_is_what_it_is_nested_in(label, category):
    rule = text("forbidden_words: tbd") + "\nmessage: 'in: {category}'"
    assert [said for _, said in told(rule, label)] == [f"in: {category}".strip()]


def test_what_was_said_can_be_quoted_on_one_line_and_not_without_end():
    rule = text("max_length: 1") + '\nmessage: "{length}: {text}"'
    assert told(rule, {"A": {"text": "a\n\tb{c}"}}) == [(None, "7: a b{c}")]
    assert told(rule, {"A": {"text": "x" * 5000}}) == [(None, f"5000: {'x' * 197}...")]


@pytest.mark.parametrize(
    ("parameters", "longest", "said"),
    [
        ("pattern: x", LONGEST_FOR_PATTERNS, "does not match x"),
        ("forbidden_pattern: y", LONGEST_FOR_PATTERNS, "may not match y"),
        ("required_words: x", LONGEST_TEXT, 'lacks "x"'),
    ],
)
def test_text_that_is_too_long_is_told_as_unchecked(parameters, longest, said):
    label = {"A": {"text": f" {'y' * longest} "}, "B": {"text": "y"}}
    assert [finding.text[-len(said) :] for finding in found(text(parameters), label)] == [said, said]
    label["A"]["text"] = "y" * (longest + 1)
    findings, why, _ = verdict(text(parameters), label)
    assert [finding.text for finding in findings] == [f'B "y" {said}']
    assert why == {"rule-1": f"1 text of more than {longest} characters"}


def test_texts_that_no_time_was_left_for_are_told_as_unchecked():
    class Ending:
        """Over once it has been looked at as often as this."""

        looks = 4

        def remaining_s(self):
            self.looks -= 1
            return float(self.looks > 0)

    case = InMemory({name: {"text": "x"} for name in "ABCDE"})
    case.deadline = Ending()
    findings, why, _ = ruleset(text("pattern: y")).find(case)
    assert [finding.subject for finding in findings] == ["A", "B"]
    assert why == {"rule-1": "no time was left for all texts"}


def test_many_words_are_made_ready_once():
    words = ", ".join(f"word{n}" for n in range(MOST_WORDS))
    rule = ruleset(text(f"forbidden_words: [{words}]"))
    label = {"A": {"text": "some words"}, "B": {"text": "word999, too"}}
    before = _searches.cache_info()
    assert [finding.text for finding in rule.find(InMemory(label)).findings] == [
        'B "word999, too" may not contain "word999"'
    ]
    after = _searches.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)


def test_pattern_sees_a_text_without_the_white_space_around_it():
    assert problem("pattern: '^FR[0-9]+$'", " FR12\n") == ""


@pytest.mark.parametrize("said", ["foo bar", "foo\nbar", "a foo  bar.", "foo\u00a0bar"])
def test_words_of_a_phrase_may_be_parted_by_any_white_space(said):
    assert problem("forbidden_words: foo bar", said).endswith('may not contain "foo bar"')
    assert problem("forbidden_words: foo bar", said.replace("foo", "foobar")) == ""


@pytest.mark.parametrize("iban", IBANS)
def test_real_ibans_are_ibans(iban):
    assert {problem("format: iban", iban.replace(" ", space)) for space in ("", " ", "\u00a0", "\u202f")} == {""}


@given(st.sampled_from(IBANS), st.integers(0, 40), st.sampled_from("0123456789ABCXYZ"))
def test_iban_with_one_character_changed_is_none(iban, at, character):
    """97 is prime and larger than any digit; a letter is two digits, of which some changes go unseen."""
    compact = iban.replace(" ", "")
    at %= len(compact)
    if compact[at].isdigit() and character.isdigit() and compact[at] != character:
        assert problem("format: iban", compact[:at] + character + compact[at + 1 :]) != ""


@given(st.sampled_from(IBANS), st.integers(1, 8))
def test_iban_cut_short_or_of_no_country_is_none(iban, cut):
    assert problem("format: iban", iban[:-cut].rstrip()) != ""
    assert problem("format: iban", f"ZZ{iban[2:]}") != ""


@given(st.dates())
def test_every_date_is_one(day):
    assert problem("format: date", day.isoformat()) == ""
    assert problem("format: date", day.isoformat().replace("-", "")) != ""


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_every_number_is_one(number):
    assert problem("format: number", str(number)) == ""


@given(st.text("0123456789+-.eE ,", min_size=1, max_size=8).filter(lambda said: said.strip()))
def test_what_python_reads_as_a_number_is_one(said):
    try:
        float(said)
    except ValueError:
        assert problem("format: number", said) != ""
    else:
        assert problem("format: number", said) == ""


@given(
    st.text("ab1_ -.\n\u00a0é", max_size=20).map(lambda said: " ".join(said.split())),
    st.text("ab1_ -.é", min_size=1, max_size=5).filter(lambda word: word == " ".join(word.split())),
)
def test_words_are_found_where_nothing_of_a_word_is_beside_them(said, word):
    expected = any(
        not re.match(r"\w", said[end : end + 1]) and not re.match(r"\w", said[start - 1 : start] if start else "")
        for start in range(len(said))
        if said[start : (end := start + len(word))] == word
    )
    quoted = word.replace("'", "''")
    assert bool(problem(f"forbidden_words: '{quoted}'", said)) == (expected and bool(said.strip()))


@pytest.mark.parametrize("said", [None, 7, [], {}, True])
def test_malformed_text_is_none(said):
    assert told(text("min_length: 3"), {"A": {"text": said}, "B": {"text": "abc"}}) == []


# Entities


def marked(*spans: tuple[int, str]):
    return objects(*(entity(f"e{n}", "WORD", content, begin) for n, (begin, content) in enumerate(spans)), job="NER")


def test_entities_beside_each_other_are_accepted():
    assert told("check: entities", marked((0, "New"), (3, "York"), (20, "x"))) == []


@pytest.mark.parametrize("content", [" York", "York ", "York\n"])
def test_white_space_at_an_end_is_told_on_the_entity(content):
    label = marked((0, content))
    assert told("check: entities", label) == [("e0", 'WORD "York" has white space at an end')]
    assert told("check: entities\nparameters: {trimmed: false}", label) == []


def test_entities_that_overlap_are_told_on_the_later():
    label = marked((4, "Yorkshire"), (0, "New York"))
    assert told("check: entities", label) == [("e0", 'WORD "Yorkshire" overlaps WORD "New York"')]
    assert told("check: entities\nparameters: {overlap: nested}", label) != []
    assert told("check: entities\nparameters: {overlap: any}", label) == []


def test_entities_within_others_can_be_accepted():
    label = marked((0, "New York City"), (4, "York"), (9, "City"))
    assert len(told("check: entities", label)) == 2
    assert told("check: entities\nparameters: {overlap: nested}", label) == []


def test_pair_of_entities_is_told_on_the_same_one_whatever_their_order():
    one, other = (entity(mid, "CITY", "York", 0) for mid in "ab")
    assert found("check: entities", objects(one, other)) == found("check: entities", objects(other, one))


spans = st.lists(st.tuples(st.integers(0, 20), st.text("a", min_size=1, max_size=8)), max_size=8)


@given(spans)
def test_overlaps_are_those_that_comparing_all_pairs_finds(drawn):
    ends = [(begin, begin + len(content)) for begin, content in drawn]
    later = {
        j if ends[i] < ends[j] or (ends[i] == ends[j] and i < j) else i
        for i in range(len(ends))
        for j in range(i + 1, len(ends))
        if ends[i][0] < ends[j][1] and ends[j][0] < ends[i][1]
    }
    label = marked(*drawn)
    assert bool(told("check: entities", label)) == bool(later)
    partly = any(a < c < b < d for a, b in ends for c, d in ends)
    assert bool(told("check: entities\nparameters: {overlap: nested}", label)) == partly


def test_entities_in_other_parts_of_the_document_do_not_overlap():
    elsewhere = {**entity("b", "WORD", "York", 0), "beginId": "main/[1]", "endId": "main/[1]"}
    assert told("check: entities", objects(entity("a", "WORD", "York", 0), elsewhere)) == []


def test_end_that_kili_left_out_is_where_the_content_ends():
    open_ended = entity("a", "WORD", "New York", 0)
    del open_ended["endOffset"]
    assert told("check: entities", objects(open_ended, entity("b", "WORD", "York", 4))) != []


@pytest.mark.parametrize("offset", [None, -1, "3", 2.5, 10**30])
def test_malformed_offset_never_fails(offset):
    label = objects({**entity("a", "WORD", "York", 0), "beginOffset": offset}, entity("b", "WORD", "York", 0))
    assert told("check: entities", label) in ([], [("a", 'WORD "York" overlaps WORD "York"')])


def test_nothing_to_say_of_is_nothing_to_check():
    assert told("check: entities", {}) == []
