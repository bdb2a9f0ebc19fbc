"""TopSpark's methodology, offline: energy, profiles over the timestep T, the trade-off, sweeps.

Import from the modules. They are not gathered here because a robot needs only profile and
trade-off, and what measures brings joblib and the training with it.
"""
