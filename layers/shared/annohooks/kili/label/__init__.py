"""What Kili's jsonResponse says: `reader.read` makes a `model.Reading` of it, `geometry` measures what was drawn."""
