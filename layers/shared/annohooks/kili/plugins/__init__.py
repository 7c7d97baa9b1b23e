"""A team's own plugin, written for Kili's plugin runner, run here as it is and without Kili's SDK.

Source: protocol reference, sections 1.1 to 1.3.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from annohooks.core.errors import AnnohooksError, SettingsError
from annohooks.core.observability import log_unexpected, logger, mark_team_code
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import Label
from annohooks.kili.events import Event
from annohooks.kili.plugins import sdk_exceptions, sdk_package
from annohooks.kili.plugins.label_argument import given_label
from annohooks.kili.plugins.sdk_client import Writes, connect

_LEGACY = {
    "onSubmit": "on_submit",
    "onReview": "on_review",
    "onCustomInterfaceClick": "on_custom_interface_click",
    "onSendBackToQueue": "on_send_back_to_queue",
    "onProjectUpdated": "on_project_updated",
}
_BY_HANDLER = {"submit": "on_submit", "review": "on_review"}
_BY_LABEL_TYPE = {"DEFAULT": "on_submit", "REVIEW": "on_review"}
_WITH_LABEL = ("on_submit", "on_review", "on_custom_interface_click")


class PluginFailed(AnnohooksError):
    """The team's own code raised an error. The log says where."""


class Plugin:
    """A PluginHandler class, of which every event gets an instance of its own, as in Kili."""

    def __init__(self, handler: type[sdk_package.PluginCore]) -> None:
        self._handler = handler
        self._methods = {
            name for name in dir(sdk_package.PluginCore) if name.startswith("on_") and _overrides(handler, name)
        }

    def handles(self, event: Event) -> bool:
        """Whether some method of the plugin is for this event, as far as the event tells."""
        if event.handler == "by_label_type":
            return bool(self._methods & {"on_event", *_BY_LABEL_TYPE.values()})
        return self._method(event, None) is not None

    def _method(self, event: Event, label: Label | None) -> str | None:
        """What Kili would call; events that have only newer names call the older handlers too, if there are any."""
        if event.subject in _LEGACY:
            name: str | None = _LEGACY[event.subject]
        elif "on_event" in self._methods:
            name = "on_event"
        elif event.handler == "by_label_type":
            name = _BY_LABEL_TYPE.get(label.label_type) if label else None
        else:
            name = _BY_HANDLER.get(event.handler or "")
        return name if name in self._methods else None

    def run(self, event: Event, label: Label | None, client: Client, writes: Writes) -> None:
        """Calls the method for this event. label: the event's, as it is in Kili; needed if the event has one.

        Raises PluginFailed when the plugin raises an error of its own, and whatever the client or `writes` raised if
        the plugin lets it pass.
        """
        name = self._method(event, label)
        if name is None or event.project_id is None:
            return
        kili = connect(client, writes, event.project_id)
        try:
            getattr(self._handler(kili, event.project_id), name)(*_arguments(name, event, label))
        except AnnohooksError:
            raise
        except (Exception, SystemExit) as error:
            if own_error := sdk_exceptions.own(error):
                raise own_error from None
            if isinstance(error, sdk_exceptions.NotPossibleHere):
                logger.error("the plugin asks for what is not possible here: %s", error)
            log_unexpected(error)
            raise PluginFailed(f"The plugin failed with {type(error).__name__}; the log says where.") from None


def load(path: Path) -> Plugin:
    """The plugin in a file, or in the main.py of a folder.

    From now on `import kili`, in the whole process, is the light package that plugins see here. Raises SettingsError
    saying what is wrong with the file.
    """
    main = path / "main.py" if path.is_dir() else path
    if not main.is_file():
        raise SettingsError(f"KILI_PLUGIN: there is no file {main.name} beside the function")
    mark_team_code(path)
    sdk_package.install()
    # For modules of the plugin's own; last, so that none of them hides another.
    if str(main.parent) not in sys.path:
        sys.path.append(str(main.parent))
    module = ModuleType("annohooks_kili_plugin")
    module.__file__ = str(main)
    if path.is_dir():  # a package, for relative imports
        module.__package__, module.__path__ = module.__name__, [str(path)]
    sys.modules[module.__name__] = module  # where dataclasses look for the names in annotations
    try:
        exec(compile(main.read_bytes(), str(main), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        raise SettingsError(f"KILI_PLUGIN: {main.name} {_why(error, main)}") from None
    handler = getattr(module, "PluginHandler", None)
    if not isinstance(handler, type) or not issubclass(handler, sdk_package.PluginCore):
        raise SettingsError(f"KILI_PLUGIN: {main.name} has no class PluginHandler(PluginCore)")
    plugin = Plugin(handler)
    if not plugin._methods:
        raise SettingsError(f"KILI_PLUGIN: PluginHandler in {main.name} has none of {', '.join(_names())}")
    return plugin


def _overrides(handler: type[sdk_package.PluginCore], name: str) -> bool:
    return getattr(handler, name) is not getattr(sdk_package.PluginCore, name)


def _names() -> list[str]:
    return sorted(name for name in dir(sdk_package.PluginCore) if name.startswith("on_"))


def _why(error: BaseException, main: Path) -> str:
    """Why a file cannot be imported, in words for its author."""
    if isinstance(error, SyntaxError):
        return f"is not Python: {error.msg} in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(main)]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, ImportError):
        name, what = error.name or "", error.msg.partition(" (")[0]
        if name.partition(".")[0] in ("kili", "kili_events"):
            return f"cannot be loaded: {what}{where}. {sdk_package.WHAT_THERE_IS}"
        return f"cannot be loaded: {what}{where}; what it needs has to be in the runtime layer"
    if isinstance(error, sdk_exceptions.NotPossibleHere):
        return f"cannot be loaded: {error}{where}"
    return f"raises {type(error).__name__}{where} when it is imported"


def _arguments(name: str, event: Event, label: Label | None) -> tuple[Any, ...]:
    if name in _WITH_LABEL:
        return given_label(name, event, label), event.asset_id or (label.asset_id if label else None)
    if name == "on_send_back_to_queue":
        return (event.asset_id,)
    if name == "on_project_updated":
        payload = event.raw.get("payload")
        return (payload.get("settings_updated", []) if isinstance(payload, dict) else [],)
    return (event.raw,)
