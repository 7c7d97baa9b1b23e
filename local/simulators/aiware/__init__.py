"""A simulated aiWARE: the Engine Toolkit that calls an engine, and the server it fetches its files from."""

from local.simulators.aiware.faults import MEDIA_SERVER, TOOLKIT
from local.simulators.aiware.media import MediaServer
from local.simulators.aiware.server import Toolkit
from local.simulators.aiware.tasks import Message, Task

__all__ = ["MEDIA_SERVER", "TOOLKIT", "MediaServer", "Message", "Task", "Toolkit"]
