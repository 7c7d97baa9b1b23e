"""The webhook of one deployment: its rules, its plugin and its API key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from annohooks.core import observability
from annohooks.core.auth import secrets_from_ssm
from annohooks.core.deadline import Deadline
from annohooks.core.errors import SettingsError, Unavailable
from annohooks.core.observability import logger
from annohooks.kili import checking
from annohooks.kili.api.client import Client
from annohooks.kili.checking import Outcome
from annohooks.kili.events import Event
from annohooks.kili.rulebook import Rulebook
from annohooks.kili.settings import Settings

if TYPE_CHECKING:
    from annohooks.kili.plugins import Plugin


class LabelWebhook:
    """Checks the labels of events. A function creates it when it starts. folder: has the rules file and the plugin.

    Raises SettingsError when the plugin cannot be loaded, or the packaged rules are wrong; then the message lists every
    mistake with its line.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._rulebook = Rulebook(settings.kili_rules, settings.kili_rules_max_age_s, folder)
        self._plugin = _plugin(folder / settings.kili_plugin) if settings.kili_plugin else None

    def handle(self, event: Event, deadline: Deadline, *, unless_checked: bool = False) -> Outcome:
        """Handles one event, which may arrive any number of times. unless_checked: see `checking.handle`.

        Raises AnnohooksError.
        """
        if reason := checking.reason_to_ignore(event, self._plugin, self._settings):
            return Outcome(ignored=reason)
        try:
            rules = self._rulebook.current()
        except SettingsError as error:
            logger.error("the rules cannot be used", extra={"reason": str(error)})
            raise Unavailable("The rules of this webhook cannot be used; its log says why.") from None
        with self.client(deadline) as client:
            return checking.handle(
                event, client, rules, self._plugin, self._settings, deadline, unless_checked=unless_checked
            )

    @contextmanager
    def client(self, deadline: Deadline) -> Iterator[Client]:
        """A client with the API key from SSM, which the log does not show. Raises Unavailable when there is no key."""
        keys = secrets_from_ssm(self._settings.kili_api_key_parameter)
        if not keys:
            raise Unavailable("The Kili API key of this webhook is not configured.")
        with observability.redacted(*keys), Client(self._settings, keys[0], deadline) as client:
            yield client


def _plugin(path: Path) -> Plugin:
    """Loads a plugin. The import is here because most deployments have no plugin and need not pay for it."""
    from annohooks.kili import plugins

    return plugins.load(path)
