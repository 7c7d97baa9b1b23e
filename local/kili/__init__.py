"""A simulated Kili: projects with a queue, labels, issues, and the webhooks that it posts."""

from local.kili.faults import FAULTS
from local.kili.server import Call, Kili
from local.kili.webhooks import Delivery

__all__ = ["FAULTS", "Call", "Delivery", "Kili"]
