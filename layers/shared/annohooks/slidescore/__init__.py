"""Slide Score's webhook: its request, its API, its results."""
