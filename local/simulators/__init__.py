"""The three platforms, simulated: what each accepts, answers and gets wrong."""
