"""TopSpark's methodology: energy, profiles over the timestep, the trade-off and the policy.

Import from the modules. They are not gathered here because the controller needs only the policy,
and what measures brings the whole engine with it.
"""
