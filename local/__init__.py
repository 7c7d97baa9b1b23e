"""The bundle on one machine: simulated platforms, sample slides and the functions behind a socket."""
