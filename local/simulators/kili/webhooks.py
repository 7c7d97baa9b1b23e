"""Kili's webhooks: which events go to which URL, and the answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from local.simulators.kili import events
from local.simulators.kili.events import Generation
from local.simulators.kili.records import Event, Plugin

MAX_CONCURRENT = 8
TIMEOUT_S = 60.0  # Kili's own is not published; its hosted plugins have a minute
MAX_ANSWER = 1 << 20


@dataclass(frozen=True)
class Delivery:
    """One event posted to one webhook. status: 0 without an answer. error: the reason for that."""

    webhook: str
    url: str
    body: Mapping[str, Any]
    status: int
    text: str
    seconds: float
    error: str = ""

    def json(self) -> Any:
        return json.loads(self.text)


class Webhooks:
    """deliveries: finished ones, first to last. generation: of the events of a webhook with an event_matcher."""

    def __init__(self, generation: Generation) -> None:
        self.deliveries: list[Delivery] = []
        self._generation = generation
        self._changed = threading.Condition()
        self._active = 0
        self._slots = threading.Semaphore(MAX_CONCURRENT)
        self._closed = False

    def publish(self, event: Event, plugins: Iterable[Plugin], times: int) -> None:
        """Posts an event, in threads, to every webhook that is activated on its project and subscribes to it."""
        for plugin in plugins:
            body = self._body(event, plugin)
            if body:
                for _ in range(times):
                    self._start(plugin, body)

    def post(self, name: str, url: str, header: str | None, body: Mapping[str, Any]) -> Delivery:
        """Posts one event. header: the value of Authorization."""
        headers = {"Content-Type": "application/json", **({"Authorization": header} if header else {})}
        started = time.perf_counter()
        status, text, error = 0, "", ""
        try:
            with (
                urllib3.PoolManager(retries=False, timeout=TIMEOUT_S) as http,
                http.request(
                    "POST", url, body=json.dumps(body), headers=headers, redirect=False, preload_content=False
                ) as reply,
            ):
                status, text = reply.status, reply.read(MAX_ANSWER).decode(errors="replace")
        except urllib3.exceptions.HTTPError as failure:
            error = type(failure).__name__
        delivery = Delivery(name, url, body, status, text, time.perf_counter() - started, error)
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        return delivery

    def settle(self, timeout_s: float) -> None:
        """Returns once nothing is being posted. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._active, timeout_s):
                raise TimeoutError(f"{self._active} webhooks have no answer after {timeout_s} s")

    def close(self) -> None:
        """Posts no further events. Those that are being posted end by themselves."""
        self._closed = True

    def _start(self, plugin: Plugin, body: Mapping[str, Any]) -> None:
        with self._changed:
            self._active += 1
        delivery = (plugin.name, plugin.url, plugin.header, body)  # a later change of the webhook does not count
        threading.Thread(target=self._post_in_turn, args=delivery, daemon=True).start()

    def _post_in_turn(self, name: str, url: str, header: str | None, body: Mapping[str, Any]) -> None:
        try:
            with self._slots:
                if not self._closed:
                    self.post(name, url, header, body)
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _body(self, event: Event, plugin: Plugin) -> Mapping[str, Any] | None:
        if event.project_id not in plugin.project_ids:
            return None
        if event.handler in plugin.handler_types:
            return events.body(event, "legacy")
        subject = events.subject(event, self._generation)
        if any(events.matches(pattern, subject) for pattern in plugin.event_matcher):
            return events.body(event, self._generation, enveloped=self._generation == "flat")
        return None
