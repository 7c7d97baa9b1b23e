"""A simulated Kili: projects with a queue, labels, issues and webhooks."""

from local.simulators.kili.faults import FAULTS
from local.simulators.kili.server import Call, Kili
from local.simulators.kili.webhooks import Delivery

__all__ = ["FAULTS", "Call", "Delivery", "Kili"]
