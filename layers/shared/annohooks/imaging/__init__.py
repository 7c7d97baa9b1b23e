"""Pixels to findings: decoding, outlines as arrays, analyzers. Knows no platform."""
