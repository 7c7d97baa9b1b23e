"""Whether the engine can work."""

from __future__ import annotations

from collections.abc import Callable

from annohooks.aiware import state_machine
from annohooks.aiware.settings import Settings
from annohooks.core import dynamodb, onnx_files, s3
from annohooks.core.errors import AnnohooksError, SettingsError


def problems(settings: Settings) -> list[str]:
    """A sentence for each resource that the engine needs and cannot use; empty when the engine can work."""
    checks: dict[str, Callable[[], bool]] = {
        "The table of jobs": lambda: dynamodb.Table(settings.aiware_table).is_there(),
        "The state machine": lambda: state_machine.is_there(settings.aiware_state_machine),
        "The staging bucket": lambda: s3.is_there(settings.staging_bucket),
    }
    if settings.aiware_detectors:
        checks["The file of detectors"] = lambda: _can_be_read(settings.aiware_detectors)
    sentences = []
    for resource, is_usable in checks.items():
        try:
            if not is_usable():
                sentences.append(f"{resource} is not there.")
        except AnnohooksError as error:
            sentences.append(f"{resource} cannot be checked: {error.message}")
        except (SettingsError, UnicodeDecodeError) as error:
            sentences.append(f"{resource} has a mistake: {error}.")
    return sentences


def _can_be_read(detectors: str) -> bool:
    """Whether the file is there. Raises SettingsError or UnicodeDecodeError for mistakes that show without OpenCV."""
    if not onnx_files.is_there(detectors):
        return False
    from annohooks.imaging import detector_file

    for _ in detector_file.read(onnx_files.read(detectors).decode()):
        pass
    return True
