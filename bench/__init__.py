"""Side by side with what users would otherwise run: `python -m bench`. How it is kept honest: docs/performance.md."""
