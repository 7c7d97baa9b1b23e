"""The contents of Kili's jsonResponse: `reader.read` makes a `model.Reading` of it, `geometry` measures its shapes."""
