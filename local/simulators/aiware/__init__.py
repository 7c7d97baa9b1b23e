"""A simulated aiWARE: the Engine Toolkit that calls an engine, and the server of its media files."""

from local.simulators.aiware.faults import MEDIA_FAULTS, TOOLKIT_FAULTS
from local.simulators.aiware.media import MediaServer
from local.simulators.aiware.server import Toolkit
from local.simulators.aiware.tasks import Message, Task

__all__ = ["MEDIA_FAULTS", "TOOLKIT_FAULTS", "MediaServer", "Message", "Task", "Toolkit"]
