"""A simulated Slide Score server, and the viewer that triggers webhooks and judges their answers."""

from local.slidescore.faults import FAULTS
from local.slidescore.server import Call, SlideScore
from local.slidescore.viewer import Viewed

__all__ = ["FAULTS", "Call", "SlideScore", "Viewed"]
