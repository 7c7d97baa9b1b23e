"""The simulated Slide Score server: web API, image server and uploads, and all that a test wants to know afterwards.

It behaves as section 5 of the protocol reference says. What a client does against the protocol is answered as a real
server would and noted in `violations`.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message

from local.listener import Dropped, Listener, Refused, Reply, Request, Running
from local.simulators.slidescore import viewer
from local.simulators.slidescore.api import Api
from local.simulators.slidescore.faults import Faults
from local.simulators.slidescore.study import Score, Study
from local.simulators.slidescore.uploads import Uploads
from local.slides import Slide

MAX_CONCURRENT = 6
PIXELS = ("/Api/GetScreenshot", "/Api/GetRawTile", "/i/")
GIVE_UP = ("/Api/GiveUpToken", "/Admin/GiveupToken")


@dataclass(frozen=True)
class Call:
    """One request as it arrived. params: query string and form body together, keys in lower case."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Message


class SlideScore(Running):
    """A Slide Score server on a socket of its own, in a `with` block.

    slides: by image id. level_offset: how far GetScreenshot's level of full resolution lies above ceil(log2(longer
    side)). faults: names from FAULTS; they can be changed at any time.

    sample_token: one that stays good when it is given up, so that a sample event can be posted again and again.

    origin: the host that webhooks are told. calls: every request. violations: what the client did against the protocol.
    given_up: the token of each GiveUpToken call, refused ones too. annos: finished anno2 zips by annoUUID. scores: what
    UploadResults stored. questions: the study's, type by name. elsewhere, elsewhere_calls: another origin, which some
    faults point at, and what it received.
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
        self.slides = dict(slides)
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.given_up: list[str] = []
        self.elsewhere_calls: list[Call] = []
        self._faults = Faults(faults)
        self._arrived = threading.Condition()
        self._sample_token = sample_token
        self._tokens = {sample_token: True} if sample_token else {}  # every token issued; False once given up
        self._answered_503: set[str] = set()
        self._study = Study()
        self._uploads = Uploads(self._faults)
        self._api = Api(self.slides, level_offset, self._faults, self._study, self._uploads, self.violations.append)
        self._listener = Listener(bind, port, self._answer)
        self._elsewhere = Listener(bind, 0, self._answer_elsewhere)
        self.origin = self._listener.origin
        self.elsewhere = self._elsewhere.origin

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, names: Iterable[str]) -> None:
        wanted = Faults(names)
        self._faults.clear()
        self._faults.update(wanted)

    @property
    def annos(self) -> dict[str, bytes]:
        return self._uploads.annos

    @property
    def scores(self) -> list[Score]:
        return self._study.scores

    @property
    def questions(self) -> dict[str, str]:
        return self._study.questions

    def start(self) -> None:
        self._listener.start()
        self._elsewhere.start()

    def stop(self) -> None:
        """Ends the server; requests that a fault holds end too."""
        self._listener.stop()
        self._elsewhere.stop()

    def token(self) -> str:
        """A new API token, as the server issues one for each trigger."""
        token = "eyJ" + secrets.token_urlsafe(40)
        self._tokens[token] = True
        return token

    def wait_for_calls(self, count: int, timeout_s: float = 10.0) -> None:
        """Returns once `count` requests have arrived in all; TimeoutError when they do not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.calls) >= count, timeout_s):
                raise TimeoutError(f"{len(self.calls)} of {count} requests arrived in {timeout_s} s")

    def trigger(self, url: str, body: Mapping[str, object]) -> viewer.Viewed:
        """Sends a webhook as the server does and looks at what comes back as the viewer does.

        body: the filled template; its `host` becomes this server's origin and its `apitoken` a new token, where it has
        these keys.
        """
        token = self.token()
        own = {"host": self.origin, "apitoken": token}
        filled = {key: own.get(key, value) for key, value in body.items()}
        slide = next((slide for image, slide in self.slides.items() if image == body.get("imageid")), None)
        viewed = viewer.view(url, filled, token, slide, self.annos)
        if "apitoken" in body and (times := self.given_up.count(token)) != 1:
            viewed.problems.append(f"the token was given up {times} times, not once")
        return viewed

    def _answer(self, request: Request) -> Reply:
        self._note(request)
        try:
            reply = self._spoilt(request) or self._routed(request)
        except Refused as refused:
            self.violations.append(refused.violation)
            reply = refused.reply
        except (Dropped, ConnectionError):
            raise
        except Exception as error:
            self.violations.append(f"the simulated server itself failed: {error!r}")
            raise
        slow = "slow" in self._faults or ("slow_pixels" in self._faults and request.path.startswith(PIXELS))
        return dataclasses.replace(reply, hold=slow)

    def _note(self, request: Request) -> None:
        if (crowd := self._listener.crowd()) > MAX_CONCURRENT:
            self.violations.append(f"{crowd} requests at once, {MAX_CONCURRENT} are allowed")
        if request.path in GIVE_UP:
            self.given_up.append(_token(request))
        with self._arrived:
            self.calls.append(Call(request.method, request.path, request.params, request.headers))
            self._arrived.notify_all()

    def _spoilt(self, request: Request) -> Reply | None:
        """What a fault of the whole server answers in place of the endpoint."""
        for_pixels = request.path.startswith(PIXELS)
        if "rejects_token" in self._faults:
            return Reply(401)
        if "http_500" in self._faults or ("give_up_fails" in self._faults and request.path in GIVE_UP):
            return Reply(500, b"Internal Server Error", "text/plain")
        if "redirects" in self._faults or ("redirects_pixels" in self._faults and for_pixels):
            return Reply(302, headers={"Location": self.elsewhere + request.target})
        if "http_503_once" in self._faults and request.method == "GET" and request.path not in self._answered_503:
            self._answered_503.add(request.path)
            return Reply(503, b"Service Unavailable", "text/plain")
        return None

    def _routed(self, request: Request) -> Reply:
        if "Transfer-Encoding" in request.headers:
            raise Refused(f"{request.path} with a body of unknown length", Reply(411))
        if request.path == "/files" or request.path.startswith("/files/"):
            return self._uploads.tus(request, self._location_prefix(), self._accepts)
        if tile := self._api.image_server(request):
            return tile
        endpoint = self._api.endpoints.get(request.path.removeprefix("/Api/"))
        if request.method not in ("GET", "POST") or (endpoint is None and request.path not in GIVE_UP):
            raise Refused(f"unknown endpoint {request.method} {request.path}", Reply(404))
        token = _token(request)
        if not self._accepts(token):
            return Reply(401)
        if endpoint is None:
            self._tokens[token] = token == self._sample_token
            return Reply(body=b'{"success":true}')
        return endpoint(request)

    def _accepts(self, token: str) -> bool:
        if self._tokens.get(token) is False:
            self.violations.append("a token was used after it was given up")
        return self._tokens.get(token, False)

    def _location_prefix(self) -> str:
        if "foreign_location" in self._faults:
            return f"{self.elsewhere}/files/"
        return f"{self.origin}/files/" if "absolute_location" in self._faults else "/files/"

    def _answer_elsewhere(self, request: Request) -> Reply:
        """The other origin agrees to everything, so that a careless client goes on and gives itself away."""
        self.elsewhere_calls.append(Call(request.method, request.path, request.params, request.headers))
        end = int(request.headers.get("Upload-Offset", 0)) + request.unread
        return Reply(body=b'{"success":true}', headers={"Tus-Resumable": "1.0.0", "Upload-Offset": str(end)})


def _token(request: Request) -> str:
    """The bearer token; /Admin/GiveupToken takes it as a parameter, as older documentation says."""
    if request.path == "/Admin/GiveupToken" and "token" in request.params:
        return request.params["token"]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""
