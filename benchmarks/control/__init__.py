"""The controller through an hour of everything that can go wrong: `make bench-control`."""
