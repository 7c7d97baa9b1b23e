"""Replies of a server that a test controls, byte by byte."""

from __future__ import annotations

import socket
import struct

TOKEN = "token-canary-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def reply(status="200 OK", body=b"{}", **headers):
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*replies):
    """Answers with each reply in turn, then with the last for ever."""
    left = list(replies)

    def answer(connection, request):
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return answer


def resetting(connection, request):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def cutting(connection, request):
    connection.sendall(reply(body=b"half", Content_Length=8))
    return False
