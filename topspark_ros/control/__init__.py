"""What runs beside the learner: budgets, batteries, meters, and the decisions that they lead to.

Pure functions and small state machines of profile, limits, measurements and time; ROS is not here.
Import from the modules.
"""
