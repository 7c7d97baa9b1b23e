"""What faults make of an answer, on the way to whoever asked."""

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
"""Faults of the webhooks that keep a message from being accepted, with the status; 0 for no answer."""
REDIRECTED = "/redirected"
ENORMOUS = 8 << 30
DRIP_S = 0.05
LONGEST_DRIP = 6000  # bytes
MOST_ENDLESS = 1 << 30


def spoilt(reply: Reply, kind: str, request: Request, origin: str, stopped: threading.Event) -> Reply:
    """A webhook's answer as the fault `kind` has it, which may be "" for none.

    origin: of the webhooks. stopped: ends an answer that never ends. Raises Dropped when there is no answer.
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
        return Reply(200, bytes(1 << 20), announced_bytes=ENORMOUS)
    if kind == "drip":
        drip(request, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * LONGEST_DRIP, stopped)
    return reply


def drip(request: Request, head: bytes, body: bytes, stopped: threading.Event) -> None:
    """Sends the head and then a byte at a time, until the client hangs up; raises Dropped."""
    with contextlib.suppress(OSError):
        request.connection.sendall(head)
        for number in range(len(body)):
            request.connection.sendall(body[number : number + 1])
            if stopped.wait(DRIP_S):
                break
    raise Dropped


def pour(request: Request, head: bytes, stopped: threading.Event) -> None:
    """Sends the head and then bytes without end, or at least a GiB, until the client hangs up; raises Dropped."""
    piece = bytes(1 << 20)
    with contextlib.suppress(OSError):
        request.connection.sendall(head)
        for _ in range(MOST_ENDLESS // len(piece)):
            if stopped.is_set():
                break
            request.connection.sendall(piece)
    raise Dropped
