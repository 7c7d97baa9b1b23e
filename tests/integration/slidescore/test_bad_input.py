"""What bad input gets, and a platform that fails: a status, words that help, and a token that is given up."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import boto3
import cv2
import numpy as np
import pytest
import urllib3
from webhooks import REGION, WITH_HOLES, rect, webhook

from annohooks.core import auth, observability
from annohooks.imaging.analyzers import ANALYZERS, Analyzer
from local import anno2
from local.demo import slidescore as demo
from local.simulators.slidescore import SlideScore, Viewed
from local.simulators.slidescore import pixels as server_pixels
from local.stack import BUCKET, SECRET

SHIPPED = {name: ANALYZERS[name] for name in ("dab_positivity", "dark_regions", "density", "nuclei", "tissue")}
CANARY = "canary-4711"
OTHER_SECRET = "another-secret-of-32-characters!"
Start = Callable[..., Any]


def post(url: str, body: bytes | dict[str, object]) -> urllib3.BaseHTTPResponse:
    """The body as it is, where `trigger` would put host and token in."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return urllib3.request("POST", url, body=content, headers={"Content-Type": "application/json"}, retries=False)


def refusal(viewed: Viewed) -> tuple[int, str]:
    """Status and text of an answer that is no result."""
    assert viewed.results == []
    return viewed.status, viewed.text


def good(viewed: Viewed) -> list[list[object]]:
    """Type and name of the results of an answer nobody objects to."""
    assert (viewed.status, viewed.problems) == (200, [])
    return [[result["type"], result["name"]] for result in viewed.results]


def text(viewed: Viewed) -> str:
    (found,) = (result["value"] for result in viewed.results if result["type"] == "text")
    return str(found)


class TestSecret:
    WRONG = (401, "The secret is missing or wrong.")

    @pytest.mark.parametrize(
        "secret",
        ["not-the-secret-of-this-bundle", SECRET[:-1], SECRET + " ", SECRET.upper(), "", ..., None, 7, [SECRET]],
    )
    def test_that_is_wrong_or_missing_is_refused_and_nothing_is_called(
        self, bundle: Start, slidescore: SlideScore, secret: object
    ) -> None:
        assert refusal(bundle().trigger(webhook(secret=secret), given_up=0)) == self.WRONG
        assert slidescore.calls == []

    @pytest.mark.parametrize("held", ["too-short", "two are enough, three-of-them-are-not", " "])
    def test_is_refused_when_the_parameter_holds_no_usable_one(
        self, bundle: Start, secrets: Start, slidescore: SlideScore, held: str
    ) -> None:
        started = bundle(SLIDESCORE_SECRET_PARAMETER=secrets(held))
        for secret in (*held.split(), held, SECRET, "", ...):
            assert refusal(started.trigger(webhook(secret=secret), given_up=0)) == self.WRONG
        assert slidescore.calls == []

    def test_is_refused_when_there_is_no_parameter(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle(SLIDESCORE_SECRET_PARAMETER="/annohooks/tests/nobody-made-this")
        for secret in (SECRET, "", ...):
            assert refusal(started.trigger(webhook(secret=secret), given_up=0)) == self.WRONG
        assert slidescore.calls == []

    def test_may_be_either_of_two(self, bundle: Start, secrets: Start) -> None:
        started = bundle(SLIDESCORE_SECRET_PARAMETER=secrets(f"{OTHER_SECRET}\n{SECRET}"))
        for secret in (SECRET, OTHER_SECRET):
            good(started.trigger(webhook(secret=secret)))
        assert refusal(started.trigger(webhook(secret=f"{OTHER_SECRET}\n{SECRET}"), given_up=0)) == self.WRONG

    def test_may_be_in_the_address(self, bundle: Start) -> None:
        good(bundle().trigger(webhook(secret=...), query=f"?key={SECRET}"))

    @pytest.mark.parametrize("query", ["?key=not-the-secret-of-this-bundle", "?key=", f"?secret={SECRET}"])
    def test_that_is_wrong_in_the_address_is_refused(self, bundle: Start, slidescore: SlideScore, query: str) -> None:
        assert refusal(bundle().trigger(webhook(secret=...), query=query, given_up=0)) == self.WRONG
        assert slidescore.calls == []

    def test_in_the_address_does_not_mend_a_wrong_one_in_the_body(self, bundle: Start) -> None:
        body = webhook(secret="not-the-secret-of-this-bundle")
        assert refusal(bundle().trigger(body, query=f"?key={SECRET}", given_up=0)) == self.WRONG

    def test_that_cannot_be_read_just_now_is_no_fault_of_the_callers(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Unreachable:
            def get_parameter(self, **_: object) -> None:
                raise ConnectionError

        started = bundle()
        auth.ssm.cache_clear()
        monkeypatch.setattr(auth.ssm(), "client", Unreachable())
        status, says = refusal(started.trigger(webhook(), given_up=0))
        assert (status, says) == (503, "The secret of this webhook cannot be read at the moment.")
        assert slidescore.calls == []
        auth.ssm.cache_clear()

    def test_that_is_wrong_costs_the_same_whatever_else_the_body_holds(
        self, bundle: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spelled: list[str] = []
        monkeypatch.setattr(observability, "_spellings", lambda value: spelled.append(value) or {value})
        assert (
            refusal(bundle().trigger(webhook(secret="wrong", imagename="\u00e9" * 400_000), given_up=0)) == self.WRONG
        )
        assert spelled == []

    def test_is_asked_for_before_anything_else_in_the_body(self, bundle: Start) -> None:
        assert refusal(bundle().trigger({"secret": CANARY}, given_up=0)) == self.WRONG


class TestBody:
    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"", "not JSON"),
            (CANARY.encode(), "not JSON"),
            (f'{{"email": "{CANARY}", "caseid": }}'.encode(), "not JSON"),
            (f'{{"email": "{CANARY}"'.encode(), "not JSON"),
            (f'"{CANARY}"'.encode(), "not a JSON object"),
            (f'["{CANARY}"]'.encode(), "not a JSON object"),
            (b"null", "not a JSON object"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"a":' * 100_000, "nested too deeply"),
        ],
    )  # fmt: skip
    def test_that_is_no_json_object_is_refused_and_not_repeated(
        self, bundle: Start, slidescore: SlideScore, body: bytes, says: str
    ) -> None:
        reply = post(bundle().url, body)
        assert reply.status == 400
        assert says in reply.data.decode()
        assert CANARY not in reply.data.decode()
        assert slidescore.calls == []

    def test_that_is_not_json_is_told_where_and_what_to_do_about_a_template(self, bundle: Start) -> None:
        reply = post(bundle().url, b'{"caseid": , "imageid": 1}')
        assert "byte 11" in reply.data.decode()
        assert '"caseid": "%CASE_ID%"' in reply.data.decode()

    @pytest.mark.parametrize("key", ["imageid", "answers"])
    def test_without_a_key_is_told_which_and_the_token_is_given_up(self, bundle: Start, key: str) -> None:
        status, says = refusal(bundle().trigger(webhook(**{key: ..., "imagename": CANARY})))
        assert status == 400
        assert f"`{key}`" in says
        assert CANARY not in says

    @pytest.mark.parametrize("key", ["host", "apitoken"])
    @pytest.mark.parametrize("wrong", [..., "", None, 7, [CANARY], {CANARY: CANARY}])
    def test_whose_host_or_token_is_unusable_is_told_so_and_nothing_is_called(
        self, bundle: Start, slidescore: SlideScore, key: str, wrong: object
    ) -> None:
        reply = post(bundle().url, webhook(**{"host": slidescore.origin, "email": CANARY, key: wrong}))
        assert reply.status in (400, 403)
        assert CANARY not in reply.data.decode()
        assert slidescore.calls == []

    @pytest.mark.parametrize(
        ("key", "wrong", "named"),
        [
            ("imageid", CANARY, "$.imageid"),
            ("imageid", None, "$.imageid"),
            ("imageid", [CANARY], "$.imageid"),
            ("imageid", 1.5, "$.imageid"),
            ("answers", CANARY, "$.answers"),
            ("answers", {"ROI": CANARY}, "$.answers"),
            ("answers", [CANARY], "$.answers[0]"),
            ("answers", [{"value": CANARY}], "`name` - at `$.answers[0]`"),
            ("answers", [{"name": [CANARY]}], "$.answers[0].name"),
            ("analyzer", [CANARY], "$.analyzer"),
        ],
    )
    def test_with_a_value_of_the_wrong_type_is_told_where_and_the_token_is_given_up(
        self, bundle: Start, slidescore: SlideScore, key: str, wrong: object, named: str
    ) -> None:
        status, says = refusal(bundle().trigger(webhook(**{key: wrong})))
        assert status == 400
        assert named in says
        assert CANARY not in says
        assert [call.path for call in slidescore.calls] == ["/Api/GiveUpToken"]

    def test_over_the_limit_is_refused(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle(MAX_BODY_BYTES="5000")
        good(started.trigger(webhook(imagename="x" * 3000)))
        slidescore.calls.clear()
        refused = refusal(started.trigger(webhook(imagename="x" * 5000), given_up=0))
        assert refused == (413, "The request body is over 5000 bytes.")
        assert slidescore.calls == []

    def test_of_a_token_that_no_header_can_carry_is_refused(self, bundle: Start, slidescore: SlideScore) -> None:
        for token in (f"{CANARY}\r\nX-Other: 1", f"{CANARY}\u20ac"):
            reply = post(bundle().url, webhook(host=slidescore.origin, apitoken=token))
            assert (reply.status, reply.data) == (400, b"A value in the request cannot be sent to Slide Score.")
        assert slidescore.calls == []


class TestServer:
    NOT_ALLOWED = (403, "The request names a server that this deployment does not allow.")
    NOT_THERE = (403, "The server of Slide Score is at an address that this deployment does not allow.")

    def test_that_is_not_allowed_is_not_called(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle(SLIDESCORE_ORIGINS="https://slides.example.org")
        assert refusal(started.trigger(webhook(), given_up=0)) == self.NOT_ALLOWED
        assert slidescore.calls == []

    def test_that_only_looks_like_an_allowed_one_is_not_called(self, bundle: Start, slidescore: SlideScore) -> None:
        url, port = bundle().url, slidescore.origin.rpartition(":")[2]
        for host in (
            slidescore.other_origin,
            f"{slidescore.origin}@{slidescore.other_origin.removeprefix('http://')}",
            f"{slidescore.other_origin}/{slidescore.origin}",
            f"{slidescore.other_origin}#{slidescore.origin}",
            f"http://127.1:{port}",
            f"http://localhost:{port}",
            f"http://[::1]:{port}",
            f"https://127.0.0.1:{port}",
            slidescore.origin.removeprefix("http:"),
            "file:///etc/passwd",
            "http://169.254.169.254",
        ):
            reply = post(url, webhook(host=host))
            assert (reply.status, reply.data.decode()) == self.NOT_ALLOWED, host
        assert slidescore.calls == slidescore.other_origin_calls == []

    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "::ffff:10.0.0.5", "fd00::5"]
    )
    def test_at_a_private_address_behind_a_wildcard_is_not_called(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        port = int(slidescore.origin.rpartition(":")[2])
        resolve, connect = socket.getaddrinfo, socket.socket.connect
        connected = []

        def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
            return resolve(address if host == "slides.example.org" else host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", lambda s, to: (connected.append(to[:2]), connect(s, to))[1])
        started = bundle(SLIDESCORE_ORIGINS=f"https://*.example.org:{port}")
        reply = post(started.url, webhook(host=f"https://slides.example.org:{port}"))
        assert (reply.status, reply.data.decode()) == self.NOT_THERE
        assert (address, port) not in connected
        assert len(connected) >= 1  # to the bundle
        assert slidescore.calls == []

    def test_that_redirects_is_not_followed(self, bundle: Start, slidescore: SlideScore) -> None:
        slidescore.faults.add("redirects")
        status, says = refusal(bundle().trigger(webhook()))
        assert status == 502
        assert "answered with a redirect while reading the slide's metadata" in says
        assert slidescore.other_origin_calls == []

    def test_that_redirects_for_pixels_is_not_followed(self, bundle: Start, slidescore: SlideScore) -> None:
        slidescore.faults.add("redirects_pixels")
        status, says = refusal(bundle().trigger(webhook()))
        assert status == 502
        assert "answered with a redirect while reading the pixels" in says
        assert slidescore.other_origin_calls == []

    def test_that_sends_the_upload_elsewhere_is_not_followed(self, bundle: Start, slidescore: SlideScore) -> None:
        slidescore.faults.add("foreign_location")
        refused = refusal(bundle().trigger(webhook(answered=WITH_HOLES)))
        assert refused == (502, "Slide Score referred to another server, which is not followed.")
        assert slidescore.other_origin_calls == []


class TestRegion:
    AGAIN = "Please draw the region of interest again, press Done, and send."

    @pytest.mark.parametrize("answer", [..., None, "", "[]", []])
    def test_that_was_not_drawn_is_asked_for(self, bundle: Start, answer: object) -> None:
        refused = refusal(bundle().trigger(webhook(answered={"ROI": answer})))
        assert refused == (400, f'No region of interest was drawn (question "ROI"). {self.AGAIN}')

    @pytest.mark.parametrize(
        "shape",
        [
            rect(None, None, 10, 10),
            rect(10, 10, None, None),
            rect(10, None, 10, 10),
            {"type": "rect"},
            {"type": "rect", "corner": None, "size": None},
            {"type": "ellipse", "center": {"x": None, "y": 5}, "size": {"x": 5, "y": 5}},
            {"type": "polygon", "points": []},
            {"type": "polygon", "points": [{"x": 1, "y": 1}, {"x": 9, "y": 9}]},
            {"type": "polygon", "points": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}, {"x": None, "y": 9}]},
            {"type": "brush", "positivePolygons": [], "negativePolygons": []},
        ],
    )
    def test_that_was_not_finished_is_asked_for_again(self, bundle: Start, shape: dict[str, Any]) -> None:
        refused = refusal(bundle().trigger(webhook(shape)))
        assert refused == (400, f"The region of interest was not finished. {self.AGAIN}")

    def test_that_was_not_finished_does_not_matter_beside_one_that_was(self, bundle: Start) -> None:
        alone, beside = (bundle().trigger(webhook(*shapes)) for shapes in ([REGION], [rect(None, None, 0, 0), REGION]))
        good(alone)
        assert beside.results == alone.results

    @pytest.mark.parametrize(
        "shape", [rect(600, 0, 50, 50), rect(0, -80, 50, 50), rect(512, 512, 1, 1), rect(-1e9, -1e9, 9, 9)]
    )
    def test_off_the_slide_is_refused(self, bundle: Start, shape: dict[str, Any]) -> None:
        refused = refusal(bundle().trigger(webhook(shape)))
        assert refused == (400, f"The region of interest lies outside the slide. {self.AGAIN}")

    def test_partly_off_the_slide_is_analysed_where_it_is_on_it(self, bundle: Start) -> None:
        inside, beyond = (
            bundle().trigger(webhook(shape)) for shape in (rect(0, 0, 512, 200), rect(-100, -100, 9000, 300))
        )
        good(inside)
        assert beyond.results == inside.results

    @pytest.mark.parametrize("shape", [rect(10, 10, 0, 0), rect(10, 10, 50, 0), rect(10, 10, 0, 50)])
    def test_of_no_size_is_refused(self, bundle: Start, shape: dict[str, Any]) -> None:
        refused = refusal(bundle().trigger(webhook(shape)))
        assert refused == (
            400,
            f"The region of interest has no area: it is a point, a line, or too narrow for this analysis. {self.AGAIN}",
        )

    def test_too_narrow_beside_one_that_is_not_is_left_out_and_said_so(self, bundle: Start) -> None:
        narrow = rect(460, 2, 0.4, 30)
        said = text(bundle().trigger(webhook(REGION, narrow)))
        assert "of the region (" in said
        assert "Left out, because too narrow: 1 of 2 regions." in said

    def test_drawn_from_lower_right_to_upper_left_is_the_same_region(self, bundle: Start) -> None:
        one, other = (bundle().trigger(webhook(shape)) for shape in (REGION, rect(440, 470, -420, -440)))
        good(one)
        assert other.results == one.results

    @pytest.mark.parametrize(
        "answer",
        [
            CANARY,
            "{",
            "7",
            '"text"',
            "[7]",
            '[{"x": 1, "y": 2}]',
            {"type": "rect"},
            7,
            '[{"type": "rect", "label": ' + "[" * 99_999,
        ],
    )
    def test_that_is_not_made_of_shapes_is_refused(self, bundle: Start, answer: object) -> None:
        status, says = refusal(bundle().trigger(webhook(answered={"ROI": answer})))
        assert status == 400
        assert says == 'The answer to "ROI" is not a list of shapes; the question has to be of type AnnoShapes.'

    @pytest.mark.parametrize("kind", ["polyline", "heatmap", "arrow", CANARY])
    def test_that_encloses_nothing_is_refused(self, bundle: Start, kind: str) -> None:
        shape = {"type": kind, "points": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]}
        status, says = refusal(bundle().trigger(webhook(shape)))
        assert status == 400
        assert says.startswith("The region of interest has a shape that encloses no area. Please draw")
        assert CANARY not in says

    def test_of_far_too_many_shapes_is_refused(self, bundle: Start) -> None:
        status, says = refusal(bundle().trigger(webhook(*[REGION] * 201)))
        assert status == 400
        assert "201 shapes" in says

    def test_on_a_slide_that_is_not_there_is_refused(self, bundle: Start, slidescore: SlideScore) -> None:
        refused = refusal(bundle().trigger(webhook(imageid=4711)))
        assert refused == (502, "Slide Score answered with status 404 while reading the slide's metadata.")
        assert slidescore.violations == ["image 4711 does not exist"]
        slidescore.violations.clear()


class TestQuestions:
    @pytest.mark.parametrize("fields", [{"answered": {"Analysis": CANARY}}, {"analyzer": CANARY}])
    def test_about_an_unknown_analysis_are_refused(self, bundle: Start, fields: dict[str, Any]) -> None:
        refused = refusal(bundle().trigger(webhook(**fields)))
        titles = ", ".join(analyzer.title for analyzer in ANALYZERS.values())
        assert refused == (400, f'The answer to "Analysis" has to be one of {titles}.')

    @pytest.mark.parametrize(
        ("question", "answer", "says"),
        [
            ("Nuclei: sensitivity, above 1 finds fainter nuclei", "7", "a number from 0.2 to 5"),
            ("Nuclei: sensitivity, above 1 finds fainter nuclei", "nan", "a number from 0.2 to 5"),
            ("Nuclei: sensitivity, above 1 finds fainter nuclei", CANARY, "a number from 0.2 to 5"),
            ("Nuclei: largest area in um2, 0 for any", "1e999", "a number from 0 to 1e+12"),
            ("Nuclei: smallest area in um2", "-1", "a number from 0 to 1000000000"),
            ("Nuclei: stain", CANARY, "one of H&E, H-DAB"),
            ("Show", CANARY, "one of Outlines and centres, Outlines, Centres, Neither"),
        ],
    )
    def test_answered_with_what_is_out_of_range_are_named(
        self, bundle: Start, question: str, answer: str, says: str
    ) -> None:
        refused = refusal(bundle().trigger(webhook(answered={question: answer})))
        assert refused == (400, f'The answer to "{question}" has to be {says}.')

    def test_that_the_analysis_does_not_have_are_not_passed_over(self, bundle: Start) -> None:
        status, says = refusal(bundle().trigger(webhook(answered={"Nuclei: colour": "blue"})))
        assert status == 400
        assert says.startswith('A question that begins with "Nuclei:" does not belong to this analysis.')

    def test_answered_otherwise_than_by_default_are_told_in_the_text(self, bundle: Start) -> None:
        chosen = text(bundle().trigger(webhook(answered={"Nuclei: sensitivity, above 1 finds fainter nuclei": "1.5"})))
        assert "Changed parameters: sensitivity 1.5; stain H-DAB." in chosen

    def test_about_whole_numbers_take_no_others(self, bundle: Start) -> None:
        question = "Dark regions: darker than this grey value, 0 for Otsu's"
        status, says = refusal(bundle().trigger(webhook(answered={"Analysis": "Dark regions", question: "7.5"})))
        assert (status, says) == (400, f'The answer to "{question}" has to be a whole number from 0 to 255.')

    @pytest.mark.parametrize(
        ("answers", "says"),
        [
            (
                {"Nuclei: smallest area in um2": "50", "Nuclei: largest area in um2, 0 for any": "20"},
                "Nuclei: the smallest area is larger than the largest area.",
            ),
            (
                {"Analysis": "DAB positivity", "DAB positivity: weak (1+) from this DAB optical density": "0.5"},
                "DAB positivity: the optical densities of weak, moderate and strong have to rise.",
            ),
        ],
    )
    def test_that_contradict_each_other_are_refused(self, bundle: Start, answers: dict[str, str], says: str) -> None:
        assert refusal(bundle().trigger(webhook(answered=answers))) == (400, says)

    def test_about_the_analysis_left_open_take_the_deployments(self, bundle: Start) -> None:
        started = bundle(SLIDESCORE_ANALYZER="dab_positivity")
        for answer in (..., "", None):
            viewed = started.trigger(webhook(answered={"Analysis": answer, "Show": "Neither"}))
            assert good(viewed) == [["text", "DAB positivity"]]

    @pytest.mark.parametrize("analyzer", SHIPPED.values(), ids=SHIPPED)
    def test_about_what_to_show_left_open_take_what_suits_the_analysis(
        self, bundle: Start, analyzer: Analyzer[Any, Any]
    ) -> None:
        stain = {f"{analyzer.title}: stain": "H-DAB"} if "stain" in analyzer.parameters.__struct_fields__ else {}
        small = {f"{analyzer.title}: smallest area in um2": "8"}
        answers = {"Analysis": analyzer.title, "Show": ..., **stain, **small}
        names = [str(name) for kind, name in good(bundle().trigger(webhook(answered=answers))) if kind != "text"]
        maps = [name for name in names if name.endswith(": map")]
        centres = [name for name in names if name.endswith("centres")]
        assert bool(centres) == ("centres" in analyzer.shows)
        assert (len(names) > len(maps) + len(centres)) == ("outlines" in analyzer.shows)
        assert bool(maps) == (analyzer.name == "density")

    def test_are_found_whatever_default_their_name_shows_and_however_it_is_written(self, bundle: Start) -> None:
        started = bundle()
        name = "Nuclei: smallest area in um2"
        viewed = [
            started.trigger(webhook(answered={question: answer}))
            for question, answer in [(name, "40.5"), (f"{name} (default 8)", " 40,5 "), (name.upper(), 40.5)]
        ]
        good(viewed[0])
        assert viewed[0].results == viewed[1].results == viewed[2].results
        assert viewed[0].results != started.trigger(webhook()).results

    @pytest.mark.parametrize("key", ["analysisid", "webhookid"])
    def test_come_in_bodies_of_both_generations(self, bundle: Start, key: str) -> None:
        others = {"analysisid": ..., "analysisname": ..., "webhookid": ..., "webhookname": ...}
        named = {key: 4, key.replace("id", "name"): "annohooks"}
        assert good(bundle().trigger(webhook(**others | named))) == [["polygons", "Nuclei"], ["text", "Nuclei"]]

    def test_need_no_key_that_is_not_used(self, bundle: Start) -> None:
        unused = ("studyid", "imagename", "caseid", "casename", "email", "analysisid", "analysisname")
        good(bundle().trigger(webhook(**dict.fromkeys(unused, ...))))
        good(bundle().trigger(webhook(**dict.fromkeys(unused, None))))


class TestSlideScoreThatFails:
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("http_500", "answered with status 500 while reading the slide's metadata"),
            ("rejects_token", "answered with status 401 while reading the slide's metadata"),
            ("not_json", "sent an unexpected answer while reading the slide's metadata"),
            ("success_false", "has no metadata for this slide"),
            ("html_instead_of_jpeg", "answered something that is not a JPEG while reading the pixels"),
            ("png_instead_of_jpeg", "answered something that is not a JPEG while reading the pixels"),
            ("truncated_jpeg", "answered a JPEG that ends too early while reading the pixels"),
            ("small_pictures", "sent a picture of 100 x 100 pixels instead of 210 x 220"),
            ("oversized_picture", "sent more than 40000000 bytes while reading the pixels"),
            ("create_refused", "sent an unexpected answer while creating the anno2"),
            ("no_location", "did not say where to upload the anno2"),
            ("upload_never_works", "broke the connection off while uploading the anno2"),
            ("finish_refused", "did not accept the uploaded anno2"),
        ],
    )
    @pytest.mark.parametrize("pixels", ["screenshots", "raw_tiles"])
    def test_is_told_with_what_failed(
        self, bundle: Start, slidescore: SlideScore, fault: str, says: str, pixels: str
    ) -> None:
        slidescore.faults.add(fault)
        refused = refusal(bundle(SLIDESCORE_PIXELS=pixels).trigger(webhook(answered=WITH_HOLES)))
        assert refused == (502, f"Slide Score {says}.")
        assert slidescore.annos == {}

    @pytest.mark.parametrize("pixels", ["screenshots", "raw_tiles"])
    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ({"mppX": 1e308, "mppY": 1e308}, 200),
            ({"mppX": 5e-324, "mppY": -1}, 200),
            ({"downsamples": []}, 200),
            ({"level0Width": 0}, 502),
            ({"level0Width": 10**30}, 502),
            ({"level0Width": 10**6, "level0Height": 10**6}, 502),
        ],
    )
    def test_to_describe_a_slide_sensibly_does_not_confuse_us(
        self,
        bundle: Start,
        slidescore: SlideScore,
        monkeypatch: pytest.MonkeyPatch,
        said: dict[str, object],
        status: int,
        pixels: str,
    ) -> None:
        usual = server_pixels.metadata
        monkeypatch.setattr(server_pixels, "metadata", lambda slide: usual(slide) | said)
        assert bundle(SLIDESCORE_PIXELS=pixels).trigger(webhook()).status == status

    @pytest.mark.parametrize("downsamples", [[0], [1e-300], [1, -2], [1, 1e400]])
    def test_to_describe_the_levels_of_a_slide_is_told(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch, downsamples: list[float]
    ) -> None:
        usual = server_pixels.metadata
        monkeypatch.setattr(server_pixels, "metadata", lambda slide: usual(slide) | {"downsamples": downsamples})
        assert bundle(SLIDESCORE_PIXELS="raw_tiles").trigger(webhook()).status == 502

    @pytest.mark.parametrize(
        ("fault", "doing"), [("slow", "reading the slide's metadata"), ("slow_pixels", "reading the pixels")]
    )
    def test_to_answer_is_told_with_what_took_too_long(
        self, bundle: Start, slidescore: SlideScore, fault: str, doing: str
    ) -> None:
        slidescore.faults.add(fault)
        refused = refusal(bundle(SLIDESCORE_READ_TIMEOUT_S="0.2").trigger(webhook()))
        assert refused == (502, f"Slide Score did not answer in time while {doing}.")

    def test_once_to_read_is_asked_again(self, bundle: Start, slidescore: SlideScore) -> None:
        slidescore.faults.add("http_503_once")
        good(bundle().trigger(webhook()))

    def test_to_give_the_token_up_does_not_cost_the_answer(self, bundle: Start, slidescore: SlideScore) -> None:
        slidescore.faults.add("give_up_fails")
        assert good(bundle().trigger(webhook())) == [["polygons", "Nuclei"], ["text", "Nuclei"]]

    @pytest.mark.parametrize("fault", ["upload_breaks", "upload_conflict", "absolute_location"])
    def test_during_an_upload_is_made_up_for(self, bundle: Start, slidescore: SlideScore, fault: str) -> None:
        started = bundle()
        good(started.trigger(webhook(answered=WITH_HOLES)))
        slidescore.faults.add(fault)
        assert good(started.trigger(webhook(answered=WITH_HOLES))) == [
            ["anno2", "Dark regions"],
            ["text", "Dark regions"],
        ]
        undisturbed, resumed = slidescore.annos.values()
        assert resumed == undisturbed
        assert anno2.decode(resumed).negatives

    def test_is_not_what_a_missing_bucket_is_called(self, bundle: Start) -> None:
        started = bundle(STAGING_BUCKET="nobody-made-this-bucket")
        refused = refusal(started.trigger(webhook(answered=WITH_HOLES)))
        assert refused == (503, "The staging bucket could not be written.")


class TestToken:
    @pytest.mark.parametrize("fault", [None, "http_500", "truncated_jpeg", "upload_never_works"])
    def test_is_kept_where_the_deployment_says_so(
        self, bundle: Start, slidescore: SlideScore, fault: str | None
    ) -> None:
        slidescore.faults = {fault} if fault else set()
        started = bundle(SLIDESCORE_GIVE_UP_TOKEN="false")
        viewed = started.trigger(webhook(answered=WITH_HOLES), given_up=0)
        assert viewed.status == (502 if fault else 200)

    def test_is_given_up_last(self, bundle: Start, slidescore: SlideScore) -> None:
        good(bundle().trigger(webhook(answered=WITH_HOLES)))
        paths = [call.path for call in slidescore.calls]
        assert paths.index("/Api/GiveUpToken") == len(paths) - 1
        assert paths[-2] == "/Api/FinishUpload"


class TestResults:
    def test_are_a_text_alone_when_nothing_was_found(self, bundle: Start) -> None:
        viewed = bundle().trigger(
            webhook(rect(100, 100, 500, 400), imageid=3, answered={"Show": "Outlines and centres"})
        )
        assert good(viewed) == [["text", "Nuclei"]]
        assert "nothing found in the region" in text(viewed)

    @pytest.mark.parametrize("shapes", [[REGION], [rect(20, 30, 200, 440), rect(230, 30, 200, 440)]])
    def test_are_the_largest_of_all_regions_when_there_are_more_than_can_be_shown(
        self, bundle: Start, slidescore: SlideScore, shapes: list[dict[str, Any]]
    ) -> None:
        everything = bundle().trigger(webhook(*shapes))
        good(everything)
        polygons = next(result["value"] for result in everything.results if result["type"] == "polygons")
        assert isinstance(polygons, list)
        areas = sorted((area(polygon) for polygon in polygons), reverse=True)

        viewed = bundle(SLIDESCORE_MAX_OUTLINES="20", SLIDESCORE_MAX_INLINE_BYTES="0").trigger(webhook(*shapes))
        assert good(viewed) == [["anno2", "Nuclei"], ["text", "Nuclei"]]
        others = f"Only the largest 20 are shown. Counted but not shown: {len(areas) - 20}."
        assert others in text(viewed)
        assert f"Nuclei: {len(areas)} found" in text(viewed)
        (shown,) = slidescore.annos.values()
        kept = [cv2.contourArea(outline.astype(np.float32)) for outline in anno2.decode(shown).outlines]
        assert len(kept) == 20
        assert set(kept) <= set(areas)
        assert min(kept) > 0.95 * areas[19]  # before it was simplified, the 20th may have been larger than the 21st

    def test_are_anno2_when_they_are_too_much_for_the_answer(self, bundle: Start, slidescore: SlideScore) -> None:
        inline = bundle().trigger(webhook(answered={"Show": "Outlines and centres"}))
        assert good(inline) == [["polygons", "Nuclei"], ["points", "Nuclei: centres"], ["text", "Nuclei"]]
        beyond = bundle(SLIDESCORE_MAX_INLINE_BYTES="500").trigger(webhook(answered={"Show": "Outlines and centres"}))
        assert good(beyond) == [["anno2", "Nuclei"], ["anno2", "Nuclei: centres"], ["text", "Nuclei"]]
        assert "are shown as anno2" in text(beyond)
        for small, large in zip(inline.results[:2], beyond.results[:2], strict=True):
            expected, drawn = demo.drawn(small, {}), demo.drawn(large, slidescore.annos)
            np.testing.assert_array_equal(drawn.points, expected.points)
            assert len(drawn.rings) == len(expected.rings)
            for ring, same in zip(drawn.rings, expected.rings, strict=True):
                np.testing.assert_array_equal(ring, same)

    def test_leave_nothing_behind_in_the_bucket(self, bundle: Start, slidescore: SlideScore) -> None:
        before = staged()
        good(bundle().trigger(webhook(answered=WITH_HOLES)))
        assert slidescore.annos
        assert staged() == before


def staged() -> list[str]:
    return [staged["Key"] for staged in boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def area(polygon: dict[str, Any]) -> float:
    return cv2.contourArea(np.array([(point["x"], point["y"]) for point in polygon["points"]], np.float32))
