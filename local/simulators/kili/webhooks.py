"""Kili's webhooks: which events go where, and what came back."""

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

AT_ONCE = 8
TIMEOUT_S = 60.0  # nobody has published Kili's own; its hosted plugins have a minute
MAX_ANSWER = 1 << 20


@dataclass(frozen=True)
class Delivery:
    """One event posted to one webhook. status: 0 without an answer, and then error says why."""

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
    """deliveries: what has been posted and answered, in that order. generation: of those that have an event_matcher."""

    def __init__(self, generation: Generation) -> None:
        self.deliveries: list[Delivery] = []
        self._generation = generation
        self._changed = threading.Condition()
        self._under_way = 0
        self._turn = threading.Semaphore(AT_ONCE)
        self._closed = False

    def fire(self, event: Event, plugins: Iterable[Plugin], times: int) -> None:
        """Posts the event, in threads, to every webhook that is activated on its project and asked for it."""
        for plugin in plugins:
            body = self._wanted(event, plugin)
            if body:
                for _ in range(times):
                    self._start(plugin, body)

    def post(self, name: str, url: str, header: str | None, body: Mapping[str, Any]) -> Delivery:
        """header: what goes into Authorization, as it is."""
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
        """Returns once nothing is being posted; TimeoutError when that takes longer."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._under_way, timeout_s):
                raise TimeoutError(f"{self._under_way} webhooks have no answer after {timeout_s} s")

    def close(self) -> None:
        """Posts nothing more; what is under way ends by itself."""
        self._closed = True

    def _start(self, plugin: Plugin, body: Mapping[str, Any]) -> None:
        with self._changed:
            self._under_way += 1
        told = (plugin.name, plugin.url, plugin.header, body)  # as the webhook is now
        threading.Thread(target=self._take_turn, args=told, daemon=True).start()

    def _take_turn(self, name: str, url: str, header: str | None, body: Mapping[str, Any]) -> None:
        try:
            with self._turn:
                if not self._closed:
                    self.post(name, url, header, body)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _wanted(self, event: Event, plugin: Plugin) -> Mapping[str, Any] | None:
        if event.project_id not in plugin.project_ids:
            return None
        if event.handler in plugin.handler_types:
            return events.body(event, "legacy")
        subject = events.subject(event, self._generation)
        if any(events.matches(pattern, subject) for pattern in plugin.event_matcher):
            return events.body(event, self._generation, enveloped=self._generation == "flat")
        return None
