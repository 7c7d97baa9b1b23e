"""Slide Score's webhook: its request, the calls of its API, and its results."""
