"""How the faults of the webhooks change an answer."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

from local.listener import Dropped, Reply, Request

REFUSING = {
    **{status: int(status) for status in ("400", "404", "410", "413", "429", "500", "503")},
    "redirect": 301,
    "drops": 0,
}
"""The status by the kind of a fault that refuses a message; 0 for no answer."""
REDIRECTED = "/redirected"
ENORMOUS_BYTES = 8 << 30
DRIP_S = 0.05
MAX_DRIP_BYTES = 6000


def faulty(reply: Reply, kind: str, request: Request, origin: str, stopped: threading.Event) -> Reply:
    """A webhook's answer under a fault. Raises Dropped if there is no answer.

    kind: of WEBHOOK_FAULTS, or "" for no fault. origin: of the webhooks. stopped: ends an answer that does not end.
    """
    if kind == "redirect":
        return replace(reply, headers={"Location": f"{origin}{REDIRECTED}{request.path}"})
    if kind == "429":
        return replace(reply, headers={"Retry-After": "1"})
    if kind in ("drops", "reset"):
        raise Dropped
    if kind == "slow":
        return replace(reply, hold=True)
    if kind == "huge":
        return Reply(200, bytes(1 << 20), announced_bytes=ENORMOUS_BYTES)
    if kind == "drip":
        drip(request, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * MAX_DRIP_BYTES, stopped)
    return reply


def drip(request: Request, head: bytes, body: bytes, stopped: threading.Event) -> None:
    """Sends the head and then byte by byte, until the client hangs up. Raises Dropped at the end."""
    with contextlib.suppress(OSError):
        request.connection.sendall(head)
        for number in range(len(body)):
            request.connection.sendall(body[number : number + 1])
            if stopped.wait(DRIP_S):
                break
    raise Dropped
