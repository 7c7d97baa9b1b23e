"""The simulated Slide Score server: web API, uploads, and the records that a test reads afterwards.

Source: the vendor's SDK (slidescore-sdk), and docs/slidescore.md.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.listener import Refused, Reply, Request
from local.simulators import simulator
from local.simulators.simulator import Simulator
from local.simulators.slidescore import viewer
from local.simulators.slidescore.api import Api
from local.simulators.slidescore.faults import FAULTS
from local.simulators.slidescore.study import Score, Study
from local.simulators.slidescore.uploads import Uploads
from local.slides import Slide

MAX_CONCURRENT = 6
PIXELS = ("/Api/GetScreenshot", "/Api/GetRawTile")
GIVE_UP = "/Api/GiveUpToken"


@dataclass(frozen=True)
class Call(simulator.Call):
    """params: query string and form body together, keys in lower case."""

    params: Mapping[str, str]


class SlideScore(Simulator):
    """A Slide Score server on its own socket.

    slides: by image id. level_offset: the level of full resolution in GetScreenshot, minus ceil(log2(longer side)).
    sample_token: a token that stays valid after it is given up, so that a sample event can be posted repeatedly.

    origin: the host that webhooks are told. given_up: the token of each GiveUpToken call, refused calls too. annos:
    finished anno2 zips by annoUUID. scores: what UploadResults stored. questions: the study's, type by name.
    other_origin, other_origin_calls: another server, which some faults point at, and the requests it got.
    """

    def __init__(
        self,
        slides: Mapping[int, Slide],
        *,
        level_offset: int = 0,
        faults: Iterable[str] = (),
        sample_token: str | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(FAULTS, faults)
        self.slides = dict(slides)
        self.given_up: list[str] = []
        self.other_origin_calls: list[Call] = []
        self._arrived = threading.Condition()
        self._sample_token = sample_token
        self._valid_tokens = {sample_token: True} if sample_token else {}  # every token issued; False once given up
        self._answered_503: set[str] = set()
        self._study = Study()
        self._uploads = Uploads(self._faults)
        self._api = Api(self.slides, level_offset, self._faults, self._study, self._uploads, self.violations.append)
        self.origin = self._listen(bind, port, self._answer)
        self.other_origin = self._listen(bind, 0, self._answer_of_other_origin)

    @property
    def annos(self) -> dict[str, bytes]:
        return self._uploads.annos

    @property
    def scores(self) -> list[Score]:
        return self._study.scores

    @property
    def questions(self) -> dict[str, str]:
        return self._study.questions

    def token(self) -> str:
        """A new API token. The server issues one for each trigger."""
        token = "eyJ" + secrets.token_urlsafe(40)
        self._valid_tokens[token] = True
        return token

    def wait_for_calls(self, count: int, timeout_s: float = 10.0) -> None:
        """Returns once `count` requests have arrived in all. Raises TimeoutError if they do not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.calls) >= count, timeout_s):
                raise TimeoutError(f"{len(self.calls)} of {count} requests arrived in {timeout_s} s")

    def trigger(self, url: str, body: Mapping[str, object]) -> viewer.Viewed:
        """Posts a webhook as the server does, and judges the answer as the viewer does.

        body: the filled template. Its `host` becomes this server's origin and its `apitoken` a new token, where it has
        these keys.
        """
        token = self.token()
        replaced = {"host": self.origin, "apitoken": token}
        filled = {key: replaced.get(key, value) for key, value in body.items()}
        slide = next((slide for image, slide in self.slides.items() if image == body.get("imageid")), None)
        viewed = viewer.view(url, filled, token, slide, self.annos)
        if "apitoken" in body and (times := self.given_up.count(token)) != 1:
            viewed.problems.append(f"the token was given up {times} times, not once")
        return viewed

    def _answer(self, request: Request) -> Reply:
        self._record(request)
        reply = self._judged(lambda: self._faulty(request) or self._routed(request))
        slow = "slow" in self._faults or ("slow_pixels" in self._faults and request.path in PIXELS)
        return dataclasses.replace(reply, hold=slow)

    def _record(self, request: Request) -> None:
        if (concurrent := self._listeners[0].waiting_clients()) > MAX_CONCURRENT:
            self.violations.append(f"{concurrent} requests at once, {MAX_CONCURRENT} are allowed")
        if request.path == GIVE_UP:
            self.given_up.append(_token(request))
        with self._arrived:
            self.calls.append(Call(request.method, request.path, request.headers, request.params))
            self._arrived.notify_all()

    def _faulty(self, request: Request) -> Reply | None:
        """The answer of a fault in place of the endpoint, if there is one."""
        if "rejects_token" in self._faults:
            return Reply(401)
        if "http_500" in self._faults or ("give_up_fails" in self._faults and request.path == GIVE_UP):
            return Reply(500, b"Internal Server Error", "text/plain")
        if "redirects" in self._faults or ("redirects_pixels" in self._faults and request.path in PIXELS):
            return Reply(302, headers={"Location": self.other_origin + request.target})
        if "http_503_once" in self._faults and request.method == "GET" and request.path not in self._answered_503:
            self._answered_503.add(request.path)
            return Reply(503, b"Service Unavailable", "text/plain")
        return None

    def _routed(self, request: Request) -> Reply:
        if "Transfer-Encoding" in request.headers:
            raise Refused(f"{request.path} with a body of unknown length", Reply(411))
        if request.path == "/files" or request.path.startswith("/files/"):
            return self._uploads.tus(request, self._location_prefix(), self._accepts)
        endpoint = self._api.endpoints.get(request.path.removeprefix("/Api/"))
        if request.method not in ("GET", "POST") or (endpoint is None and request.path != GIVE_UP):
            raise Refused(f"unknown endpoint {request.method} {request.path}", Reply(404))
        token = _token(request)
        if not self._accepts(token):
            return Reply(401)
        if endpoint is None:
            self._valid_tokens[token] = token == self._sample_token
            return Reply(body=b'{"success":true}')
        return endpoint(request)

    def _accepts(self, token: str) -> bool:
        if self._valid_tokens.get(token) is False:
            self.violations.append("a token was used after it was given up")
        return self._valid_tokens.get(token, False)

    def _location_prefix(self) -> str:
        if "foreign_location" in self._faults:
            return f"{self.other_origin}/files/"
        return f"{self.origin}/files/" if "absolute_location" in self._faults else "/files/"

    def _answer_of_other_origin(self, request: Request) -> Reply:
        """Accepts everything, so that a client that should not have come goes on and shows what it sends."""
        self.other_origin_calls.append(Call(request.method, request.path, request.headers, request.params))
        end = int(request.headers.get("Upload-Offset", 0)) + request.unread
        return Reply(body=b'{"success":true}', headers={"Tus-Resumable": "1.0.0", "Upload-Offset": str(end)})


def _token(request: Request) -> str:
    """The bearer token of a request, "" without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""
