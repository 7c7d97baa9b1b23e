"""Veritone aiWARE: an engine behind the Engine Toolkit's webhooks, which answers at once or accepts a job."""
