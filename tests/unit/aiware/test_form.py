"""The multipart form: the bytes Go writes, and every way to break them."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st
from requests_sent import BOUNDARY, CONTENT_TYPE, UNSET, written

from annohooks.aiware import form
from annohooks.aiware.form import Form
from annohooks.core.errors import BadRequest, TooLarge

DELIMITER = b"--7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229"
GOLDEN = (
    b'%b\r\nContent-Disposition: form-data; name="chunkMimeType"\r\n\r\nimage/jpeg\r\n'
    b'%b\r\nContent-Disposition: form-data; name="token"\r\n\r\n\r\n'
    b'%b\r\nContent-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\xff\xd8\x00\r\n--\r\n\xff\xd9\r\n%b--\r\n"
) % ((DELIMITER,) * 4)
FIELDS = {"chunkMimeType": "image/jpeg", "token": ""}
CHUNK = b"\xff\xd8\x00\r\n--\r\n\xff\xd9"

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
fields_as_sent = st.dictionaries(names.filter(lambda name: name != "chunk"), texts, max_size=4).map(UNSET.__or__)
# What looks like the end of a part and is none.
chunks = st.none() | st.lists(
    st.binary(max_size=8)
    | st.sampled_from([b"\r\n", b"\r", b"--", b"\r\n--", b"--\r\n", f"\r\n--{BOUNDARY[:-1]}".encode()])
    | st.sampled_from([f"--{BOUNDARY}\r\n".encode(), f"\n--{BOUNDARY}--\r\n".encode(), b"Content-Disposition: "]),
    max_size=6,
).map(b"".join).filter(lambda chunk: f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + chunk)


def head(disposition: str = 'form-data; name="token"', *lines: str) -> bytes:
    return "\r\n".join([f"Content-Disposition: {disposition}", *lines, "", ""]).encode()


def body(*parts: bytes) -> bytes:
    """Parts with their headers as given, between boundaries as Go writes them."""
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def parsed(content: bytes) -> Form:
    return form.parse(CONTENT_TYPE, content)


# What Go writes


def test_bytes_that_go_writes_are_read():
    assert parsed(GOLDEN) == Form(FIELDS, CHUNK, "application/octet-stream")
    assert written(FIELDS, CHUNK) == GOLDEN


@given(fields_as_sent, chunks)
@example({'a"b\\c': "", "a\\": "", 'a"; name="b': "", "": "", "\u00fc\u732b": "\u00fc"}, b"")
@example({'"': "", "\\": "", '\\"': "", "a;b": "", "=": "", "\U0001f600": "", "%22%0D%0A": "", " a ": ""}, None)
def test_whatever_go_writes_is_read_as_it_was(fields, chunk):
    read = parsed(written(fields, chunk))
    assert (read.fields, read.chunk) == (fields, chunk)
    assert list(read.fields) == list(fields)


@given(st.dictionaries(names.filter(lambda name: name != "chunk"), texts, min_size=1, max_size=3), chunks)
def test_body_cut_off_anywhere_is_refused(fields, chunk):
    whole = written(fields, chunk)
    for length in range(len(whole)):
        with pytest.raises(BadRequest):
            parsed(whole[:length])


fragments = st.sampled_from(
    [
        *(b"\r\n", b"\r\n\r\n", b"--", f"--{BOUNDARY}".encode(), f"\r\n--{BOUNDARY}\r\n".encode(), b": ", b'"', b";"),
        *(head(), head('form-data; name="chunk"'), head("form-data"), b"Content-Disposition: form-data; name="),
    ]
)


@given(st.lists(fragments | st.binary(max_size=6), max_size=12).map(b"".join))
@example(b"")
def test_any_bytes_are_a_form_or_refused(content):
    for whole in (content, body(content), f"--{BOUNDARY}\r\n".encode() + content):
        with suppress(BadRequest):
            assert isinstance(parsed(whole), Form)


@given(st.text(max_size=80) | st.text(max_size=30).map("multipart/form-data; boundary=".__add__) | st.none())
def test_any_content_type_is_read_or_refused(content_type):
    with suppress(BadRequest):
        assert isinstance(form.parse(content_type, GOLDEN), Form)


@pytest.mark.parametrize("value", [b"canary", b"canary\xff", b"canary" * 200_000], ids=["text", "not UTF-8", "long"])
def test_refusal_names_the_field_and_never_repeats_its_value(value):
    with pytest.raises(BadRequest) as raised:
        parsed(body(head() + value, head() + value))
    assert "`token`" in raised.value.message
    assert "canary" not in raised.value.message


# The parts


@pytest.mark.parametrize(
    ("part", "form"),
    [
        (head('form-data; name="chunk"') + CHUNK, Form({}, CHUNK, "")),
        (head('form-data; name="chunk"', "Content-Transfer-Encoding: Binary") + CHUNK, Form({}, CHUNK, "")),
        (head('form-data; name="payload"; filename="payload.json"') + b"{}", Form({"payload": "{}"})),
        (head('form-data; name="a\\b"') + b"x", Form({"a\\b": "x"})),  # browsers escape no backslashes
    ],
    ids=["chunk without a file name", "chunk in binary", "text with a file name", "backslash"],
)
def test_part_is_read(part, form):
    assert parsed(body(part)) == form


@pytest.mark.parametrize("filename", ["C:\\face.jpg", "%22face%22.jpg", "a;b=c.jpg", ""])
def test_file_name_of_the_users_own_is_of_no_consequence(filename):
    part = head(f'form-data; name="chunk"; filename="{filename}"; filename*=UTF-8\'\'x', "Content-Type: image/png")
    assert parsed(body(part + CHUNK)) == Form({}, CHUNK, "image/png")


def test_form_of_another_client_is_read():
    parts = {"token": "a", "chunk": ("face \u00fc.jpg", CHUNK, "image/jpeg")}
    content, content_type = urllib3.encode_multipart_formdata(parts, boundary="----WebKitFormBoundary7MA4YWxk")
    assert form.parse(content_type, content) == Form({"token": "a"}, CHUNK, "image/jpeg")


@pytest.mark.parametrize("name", ["a\r\nb", "a\nb", "a\rb", 'a"\r\nContent-Disposition: form-data; name="token'])
def test_name_with_a_line_break_is_refused(name):
    with pytest.raises(BadRequest):
        parsed(written({name: "x"}))


@pytest.mark.parametrize(
    "disposition",
    [
        *("form-data", 'attachment; name="a"', "form-data; name", 'form-data; name="a', 'form-data; name="a" b'),
        *('form-data; name="a"; name="b"', 'form-data; name=a; NAME="b"', 'form-data, name="a"', 'form-data; ="a"'),
    ],
)
def test_part_without_a_clear_name_is_refused(disposition):
    with pytest.raises(BadRequest, match=r"Part 2 of the form has no Content-Disposition"):
        parsed(body(head(), head(disposition)))


NOT_UTF8 = head('form-data; name="\u00ff"').replace(b"\xc3\xbf", b"\xff")
SECOND_LINES = ("X-Colonless", 'Content-Disposition: form-data; name="chunk"', " folded: line", "X: " + "x" * 9000)


@pytest.mark.parametrize(
    "part",
    [
        *(b"", b"token", b"\r\n\r\nx", b"Content-Disposition\r\n\r\nx", b" : a\r\n\r\nx", b"a b: c\r\n\r\nx", NOT_UTF8),
        *(head('form-data; name="token"', line) for line in SECOND_LINES),
    ],
    ids=lambda part: str(part[:40]),
)
def test_part_with_headers_that_cannot_be_read_is_refused(part):
    with pytest.raises(BadRequest, match=r"[pP]art 1 "):
        parsed(body(part, head() + b"x"))


def test_part_that_is_not_there_is_refused_though_its_boundary_reads_like_a_header():
    with pytest.raises(BadRequest, match="Part 1 of the form has no headers, or they do not end"):
        form.parse('multipart/form-data; boundary="a:b"', b"--a:b\r\n" + written({"token": "x"}, boundary="a:b"))


TWO_CHUNKS = body(head('form-data; name="chunk"'), head('form-data; name="chunk"; filename="a"') + CHUNK)
IN_BASE64 = body(head('form-data; name="chunk"', "Content-Transfer-Encoding: base64") + b"QUJD")
NOT_BEGUN, NOT_ENDED = "does not begin with the boundary", "does not end with its final boundary"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((b"", NOT_BEGUN), (b"\r\n" + GOLDEN, NOT_BEGUN), (base64.b64encode(GOLDEN), NOT_BEGUN)),
        (b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOLDEN), GOLDEN), NOT_BEGUN),  # sizes of transfer chunks left in
        *((GOLDEN[:-1], NOT_ENDED), (GOLDEN[:-4], NOT_ENDED), (GOLDEN + b"x", NOT_ENDED)),
        (GOLDEN.replace(f"\r\n--{BOUNDARY}--\r\n".encode(), b"\r\n----\r\n"), NOT_ENDED),
        (GOLDEN + GOLDEN, "malformed boundary"),
        *((TWO_CHUNKS, "`chunk` is repeated"), (body(head() + b"a", head() + b"a"), "`token` is repeated")),
        (IN_BASE64, "Content-Transfer-Encoding"),
        (body(head(), head('form-data; name="payload"') + b'{"a": "\xff"}'), "`payload` is not UTF-8"),
        (body(head(), head('form-data; name="a canary\x1b"') + b"\xff"), "Part 2 of the form is not UTF-8"),
    ],
    ids=lambda value: str(value[:40]),
)
def test_body_that_is_not_as_go_writes_it_is_refused(content, message):
    with pytest.raises(BadRequest, match=message):
        parsed(content)


@pytest.mark.parametrize("after", [b" \r\n", b"\n", b"--", b"--\r\n", b"-\r\n"])
def test_boundary_within_a_part_that_is_followed_by_anything_else_is_refused(after):
    with pytest.raises(BadRequest, match="malformed boundary"):
        parsed(body(head('form-data; name="chunk"') + f"a\r\n--{BOUNDARY}".encode() + after + b"b"))


# The Content-Type


@pytest.mark.parametrize("rest", [";Boundary={}", ' ; charset=utf-8 ; boundary="{}" ; x="y"'])
def test_content_type_may_be_written_differently(rest):
    assert form.parse("MULTIPART/Form-Data" + rest.format(BOUNDARY), GOLDEN).fields == FIELDS


@pytest.mark.parametrize("boundary", ["a", "a" * 70, "a b", "'()+_,-./:=?"])
def test_boundary_may_be_any_that_the_rfc_allows(boundary):
    content = written(FIELDS, b"x", boundary)
    assert form.parse(f'multipart/form-data; boundary="{boundary}"', content).chunk == b"x"


NOT_A_FORM, NO_BOUNDARY, INVALID = "is not multipart/form-data", "names no boundary", "names an invalid boundary"


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        *((None, NOT_A_FORM), ("application/json", NOT_A_FORM), (f"multipart/mixed; boundary={BOUNDARY}", NOT_A_FORM)),
        (f"text/plain; x=multipart/form-data; boundary={BOUNDARY}", NOT_A_FORM),
        *(("multipart/form-data", NO_BOUNDARY), ("multipart/form-data; charset=utf-8", NO_BOUNDARY)),
        *((f"multipart/form-data; boundary={text}", INVALID) for text in ('""', "a" * 71, '"a "', "\u00fc")),
        *((f"multipart/form-data; boundary{text}", "is malformed") for text in ("=", "", f'="{BOUNDARY}')),
        (f"multipart/form-data; boundary={BOUNDARY}; boundary={BOUNDARY}", "is malformed"),
        *((f"multipart/form-data; boundary={text}", NOT_BEGUN) for text in (BOUNDARY[:-1], BOUNDARY.upper())),
    ],
)
def test_content_type_that_is_not_a_forms_is_refused(content_type, message):
    with pytest.raises(BadRequest, match=message):
        form.parse(content_type, GOLDEN)


# How many, and how large


def test_256_fields_are_read_and_more_are_refused():
    assert len(parsed(written({f"field{i}": "" for i in range(256)})).fields) == 256
    with pytest.raises(BadRequest, match="more than 256 parts"):
        parsed(written({f"field{i}": "" for i in range(257)}))


def test_field_of_a_megabyte_is_read_and_a_longer_one_refused():
    assert parsed(written({"payload": "x" * 1_000_000})).fields["payload"] == "x" * 1_000_000
    with pytest.raises(BadRequest, match="`payload` is over 1048576 bytes"):
        parsed(written({"payload": "x" * (form.MAX_FIELD_BYTES + 1)}))


def test_chunk_of_4400_kib_passes_and_a_body_that_lambda_would_not_take_is_refused_with_the_remedy():
    chunk = bytes(range(256)) * (4400 * 4)
    assert parsed(written(UNSET, chunk)).chunk == chunk
    with pytest.raises(TooLarge, match=r"VERITONE_DISABLE_CHUNK_DOWNLOAD=true.*cacheURI"):
        parsed(written(UNSET, b"x" * 4_700_000))
