"""A simulated aiWARE: the Engine Toolkit that calls an engine, and the server it fetches its files from."""

from local.aiware.faults import MEDIA_SERVER, TOOLKIT
from local.aiware.media import MediaServer
from local.aiware.server import Toolkit
from local.aiware.tasks import Message, Task

__all__ = ["MEDIA_SERVER", "TOOLKIT", "MediaServer", "Message", "Task", "Toolkit"]
