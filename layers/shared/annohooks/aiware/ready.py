"""Whether the engine can work."""

from __future__ import annotations

from collections.abc import Callable

from annohooks.aiware import state_machine
from annohooks.aiware.settings import Settings
from annohooks.core import dynamodb, onnx_files, s3
from annohooks.core.errors import AnnohooksError, SettingsError


def missing(settings: Settings) -> list[str]:
    """A sentence for each thing that the engine cannot do without and that is not there; empty when it can work."""
    checks: dict[str, Callable[[], bool]] = {
        "The table of jobs": lambda: dynamodb.Table(settings.aiware_table).is_there(),
        "The state machine": lambda: state_machine.is_there(settings.aiware_state_machine),
        "The staging bucket": lambda: s3.is_there(settings.staging_bucket),
    }
    if settings.aiware_detectors:
        checks["The file of detectors"] = lambda: _is_understood(settings.aiware_detectors)
    absent = []
    for what, is_there in checks.items():
        try:
            if not is_there():
                absent.append(f"{what} is not there.")
        except AnnohooksError as error:
            absent.append(f"{what} cannot be looked at: {error.message}")
        except (SettingsError, UnicodeDecodeError) as error:
            absent.append(f"{what} has a mistake: {error}.")
    return absent


def _is_understood(detectors: str) -> bool:
    """Whether the file is there. Raises SettingsError or UnicodeDecodeError for what can be told without OpenCV."""
    if not onnx_files.is_there(detectors):
        return False
    from annohooks.imaging import descriptions

    for _ in descriptions.read(onnx_files.read(detectors).decode()):
        pass
    return True
