"""Answers the webhooks of annotation platforms with image analysis."""

__version__ = "0.1.0"
