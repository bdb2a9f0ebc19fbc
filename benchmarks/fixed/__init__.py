"""The controller against every fixed setting: `python -m benchmarks.fixed`."""
