"""The three platforms as they behave towards a webhook, faults included."""
