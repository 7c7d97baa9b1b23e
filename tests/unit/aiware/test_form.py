"""The multipart form: the bytes Go writes, every way to break them, and the edge cases of the protocol reference."""

from __future__ import annotations

import base64
import gzip
from contextlib import suppress

import pytest
import urllib3
from go_forms import BOUNDARY, CONTENT_TYPE, UNSET, written
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.aiware import form
from annohooks.aiware.form import Form
from annohooks.core.errors import BadRequest, TooLarge

GOLDEN = (
    b"--7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229\r\n"
    b'Content-Disposition: form-data; name="chunkMimeType"\r\n\r\nimage/jpeg\r\n'
    b"--7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229\r\n"
    b'Content-Disposition: form-data; name="token"\r\n\r\n\r\n'
    b"--7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229\r\n"
    b'Content-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"\xff\xd8\x00\r\n--\r\n\xff\xd9\r\n"
    b"--7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229--\r\n"
)
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


# 1. chunk without filename


def test_chunk_without_filename_is_bytes_all_the_same():
    read = parsed(body(head('form-data; name="chunk"') + CHUNK))
    assert read == Form({}, CHUNK, "")


def test_text_with_a_filename_is_text_all_the_same():
    assert parsed(body(head('form-data; name="payload"; filename="payload.json"') + b"{}")).fields == {"payload": "{}"}


# 2. truncated body, missing final boundary (every other length: above)


@pytest.mark.parametrize("cut", [1, 2, 4, 64, 66, 67, 75])
def test_missing_final_boundary_is_said(cut):
    with pytest.raises(BadRequest, match="does not end with its final boundary"):
        parsed(GOLDEN[:-cut])


def test_chunk_that_breaks_off_before_a_line_that_looks_like_the_end_is_refused():
    with pytest.raises(BadRequest, match="final boundary"):
        parsed(GOLDEN.replace(f"\r\n--{BOUNDARY}--\r\n".encode(), b"\r\n----\r\n"))


# 3. the Content-Type


@pytest.mark.parametrize(
    "content_type",
    [
        f'multipart/form-data; boundary="{BOUNDARY}"',
        f"Multipart/Form-Data; Boundary={BOUNDARY}",
        f"MULTIPART/FORM-DATA;BOUNDARY={BOUNDARY}",
        f"multipart/form-data; charset=utf-8; boundary={BOUNDARY}",
        f'multipart/form-data ; boundary="{BOUNDARY}" ; charset="utf-8"',
    ],
)
def test_content_type_may_be_written_differently(content_type):
    assert form.parse(content_type, GOLDEN).fields == FIELDS


@pytest.mark.parametrize("boundary", ["a", "a" * 70, "=_a", "----WebKitFormBoundaryAbC", "a b", "'()+_,-./:=?"])
def test_boundary_may_be_any_that_the_rfc_allows(boundary):
    content = written(FIELDS, b"x", boundary)
    assert form.parse(f'multipart/form-data; boundary="{boundary}"', content).chunk == b"x"


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        (None, "not multipart/form-data"),
        ("", "not multipart/form-data"),
        ("application/json", "not multipart/form-data"),
        ("application/x-www-form-urlencoded", "not multipart/form-data"),
        (f"multipart/mixed; boundary={BOUNDARY}", "not multipart/form-data"),
        (f"text/plain; x=multipart/form-data; boundary={BOUNDARY}", "not multipart/form-data"),
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; charset=utf-8", "names no boundary"),
        ('multipart/form-data; boundary=""', "names an invalid boundary"),
        ("multipart/form-data; boundary=" + "a" * 71, "names an invalid boundary"),
        ('multipart/form-data; boundary="a "', "names an invalid boundary"),
        ("multipart/form-data; boundary=\u00fc", "names an invalid boundary"),
        ('multipart/form-data; boundary="a\r\nb"', "names an invalid boundary"),
        ("multipart/form-data; boundary=", "is malformed"),
        ("multipart/form-data; boundary", "is malformed"),
        (f'multipart/form-data; boundary="{BOUNDARY}', "is malformed"),
        (f"multipart/form-data; boundary={BOUNDARY}; boundary={BOUNDARY}", "is malformed"),
        (f"multipart/form-data; boundary={BOUNDARY[:-1]}", "does not begin with the boundary"),
        (f"multipart/form-data; boundary={BOUNDARY.upper()}", "does not begin with the boundary"),
    ],
)
def test_content_type_that_is_not_a_forms_is_refused(content_type, said):
    with pytest.raises(BadRequest, match=said):
        form.parse(content_type, GOLDEN)


# 4. duplicate fields


@pytest.mark.parametrize("name", ["token", "resultWebhook", "width"])
@pytest.mark.parametrize("values", [(b"a", b"b"), (b"a", b"a"), (b"", b"a"), (b"", b"")])
def test_field_given_twice_is_refused_even_with_one_value(name, values):
    with pytest.raises(BadRequest, match=f"`{name}` is repeated"):
        parsed(body(*(head(f'form-data; name="{name}"') + value for value in values)))


@pytest.mark.parametrize("first", [CHUNK, b""], ids=["full", "empty"])
def test_chunk_given_twice_is_refused(first):
    with pytest.raises(BadRequest, match="`chunk` is repeated"):
        parsed(body(head('form-data; name="chunk"') + first, head('form-data; name="chunk"; filename="a"') + CHUNK))


# 5. base64 that nobody decoded, and no body


def test_body_that_is_still_base64_is_refused():
    with pytest.raises(BadRequest, match="does not begin with the boundary"):
        parsed(base64.b64encode(GOLDEN))


def test_no_body_is_refused():
    with pytest.raises(BadRequest, match="does not begin with the boundary"):
        parsed(b"")


# 6. and 7. empty and absent


def test_empty_chunk_was_given_and_an_absent_one_was_not():
    assert parsed(written({"cacheURI": "https://media.example.org/a"}, b"")).chunk == b""
    assert parsed(written({"cacheURI": "https://media.example.org/a"})).chunk is None


def test_empty_fields_are_empty_texts():
    assert parsed(written(UNSET)) == Form(UNSET)


# 13. names, and how many and how long


@pytest.mark.parametrize("name", ['"', "\\", '\\"', "a;b", "=", "\u00fc", "\u732b\U0001f600", "%22%0D%0A", "", " a "])
def test_unusual_name_is_read(name):
    assert parsed(written({name: "x", "token": "y"})).fields == {name: "x", "token": "y"}


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nb",
        "a\nb",
        "a\rb",
        'a"\r\nContent-Disposition: form-data; name="token',
        "a\r\n\r\nb",
        "a\r\nContent-Type: x",
    ],
)
def test_name_with_a_line_break_is_refused(name):
    with pytest.raises(BadRequest):
        parsed(written({name: "x"}))


@pytest.mark.parametrize(
    "disposition",
    [
        *("form-data", 'attachment; name="a"', "form-data; name", 'form-data; name="a', 'form-data; name="a" b'),
        *('form-data; name="a"; name="b"', 'form-data; name=a; NAME="b"', 'form-data, name="a"', "", 'form-data; ="a"'),
    ],
)
def test_part_without_a_clear_name_is_refused(disposition):
    with pytest.raises(BadRequest, match=r"Part 2 of the form has no Content-Disposition|headers of part 2"):
        parsed(body(head(), head(disposition)))


@pytest.mark.parametrize(
    "part",
    [
        head('form-data; name="token"', "X-Colonless"),
        *(b"", b"token", b"\r\n\r\nx", b"Content-Disposition\r\n\r\nx", b" : a\r\n\r\nx", b"a b: c\r\n\r\nx"),
        head('form-data; name="token"', 'Content-Disposition: form-data; name="chunk"'),
        head('form-data; name="token"', " folded: line"),
        head('form-data; name="\udcff"'.encode(errors="surrogateescape").decode("latin-1")).replace(
            b"\xc3\xbf", b"\xff"
        ),
        head('form-data; name="token"', "X: " + "x" * 9000),
    ],
    ids=lambda part: str(part[:40]),
)
def test_part_with_headers_that_cannot_be_read_is_refused(part):
    with pytest.raises(BadRequest, match=r"[pP]art 1 "):
        parsed(body(part, head() + b"x"))


def test_part_that_is_not_there_is_refused_though_its_boundary_reads_like_a_header():
    with pytest.raises(BadRequest, match="Part 1 of the form has no headers, or they do not end"):
        form.parse('multipart/form-data; boundary="a:b"', b"--a:b\r\n" + written({"token": "x"}, boundary="a:b"))


def test_part_in_another_encoding_is_refused_rather_than_taken_for_the_bytes():
    base64_part = head('form-data; name="chunk"', "Content-Transfer-Encoding: base64") + b"QUJD"
    with pytest.raises(BadRequest, match="Content-Transfer-Encoding"):
        parsed(body(base64_part))
    assert parsed(body(base64_part.replace(b"base64", b"Binary"))).chunk == b"QUJD"


def test_ten_thousand_fields_are_refused():
    with pytest.raises(BadRequest, match="more than 256 parts"):
        parsed(written({f"field{i}": "" for i in range(10_000)}))
    assert len(parsed(written({f"field{i}": "" for i in range(256)})).fields) == 256


def test_field_of_a_megabyte_is_read_and_a_longer_one_refused():
    assert parsed(written({"payload": "x" * 1_000_000})).fields["payload"] == "x" * 1_000_000
    with pytest.raises(BadRequest, match="`payload` is over 1048576 bytes"):
        parsed(written({"payload": "x" * (form.MAX_FIELD_BYTES + 1)}))
    with pytest.raises(TooLarge):
        parsed(written({"payload": "x" * 5_000_000}))


def test_text_that_is_not_utf8_is_refused_by_its_name_or_else_its_place():
    with pytest.raises(BadRequest, match="`payload` is not UTF-8"):
        parsed(body(head(), head('form-data; name="payload"') + b'{"a": "\xff"}'))
    with pytest.raises(BadRequest, match="Part 2 of the form is not UTF-8"):
        parsed(body(head(), head('form-data; name="a canary\x1b"') + b"\xff"))


# 14. how the body arrived


def test_body_that_is_still_compressed_is_refused():
    with pytest.raises(BadRequest, match="does not begin with the boundary"):
        parsed(gzip.compress(GOLDEN))


def test_body_with_the_sizes_of_its_transfer_chunks_left_in_is_refused():
    with pytest.raises(BadRequest, match="does not begin with the boundary"):
        parsed(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOLDEN), GOLDEN))


@pytest.mark.parametrize("more", [b"\r\n", b"x", b"\0" * 8, GOLDEN], ids=["line", "letter", "zeros", "another form"])
def test_body_that_goes_on_after_its_end_is_refused(more):
    with pytest.raises(BadRequest):
        parsed(GOLDEN + more)


@pytest.mark.parametrize("before", [b"\r\n", b"preamble\r\n", b" "])
def test_body_with_something_before_its_first_boundary_is_refused(before):
    with pytest.raises(BadRequest, match="does not begin with the boundary"):
        parsed(before + GOLDEN)


@pytest.mark.parametrize("after", [b" \r\n", b"\t\r\n", b"\n", b"x", b"--", b"--\r\n", b"-\r\n"])
def test_boundary_within_a_part_that_is_followed_by_anything_else_is_refused(after):
    with pytest.raises(BadRequest, match="a malformed boundary"):
        parsed(body(head('form-data; name="chunk"') + f"a\r\n--{BOUNDARY}".encode() + after + b"b"))


# 35. how large


def test_chunk_of_4400_kib_passes_and_a_body_that_lambda_would_not_take_is_refused_with_the_remedy():
    chunk = bytes(range(256)) * (4400 * 4)
    assert parsed(written(UNSET, chunk)).chunk == chunk
    with pytest.raises(TooLarge, match=r"VERITONE_DISABLE_CHUNK_DOWNLOAD=true.*cacheURI"):
        parsed(written(UNSET, b"x" * 4_700_000))


# Clients other than Go's: curl, a browser in the Test Console, a script


def test_form_of_another_client_is_read():
    parts = {"token": "a", "chunk": ("face \u00fc.jpg", CHUNK, "image/jpeg")}
    content, content_type = urllib3.encode_multipart_formdata(parts, boundary="----WebKitFormBoundary7MA4YWxk")
    assert form.parse(content_type, content) == Form({"token": "a"}, CHUNK, "image/jpeg")


def test_backslash_that_escapes_nothing_is_a_backslash_as_browsers_write_it():
    assert parsed(body(head('form-data; name="a\\b"') + b"x")).fields == {"a\\b": "x"}


@pytest.mark.parametrize("filename", ["C:\\pictures\\face.jpg", "%22face%22.jpg", "a;b=c.jpg", "", "../../etc/passwd"])
def test_file_name_of_the_users_own_is_of_no_consequence(filename):
    part = head(f'form-data; name="chunk"; filename="{filename}"; filename*=UTF-8\'\'x', "Content-Type: image/png")
    assert parsed(body(part + CHUNK)) == Form({}, CHUNK, "image/png")
