"""A simulated Slide Score server, and the viewer that triggers webhooks and judges their answers."""

from local.simulators.slidescore.faults import FAULTS
from local.simulators.slidescore.server import Call, SlideScore
from local.simulators.slidescore.viewer import Viewed

__all__ = ["FAULTS", "Call", "SlideScore", "Viewed"]
