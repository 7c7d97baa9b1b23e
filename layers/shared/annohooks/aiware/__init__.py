"""Veritone aiWARE: an engine behind the Engine Toolkit's webhooks, which answers at once or keeps its promise later."""
