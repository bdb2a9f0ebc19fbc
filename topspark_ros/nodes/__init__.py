"""Lifecycle nodes: they wire topics to the ROS-free rooms and compute nothing themselves."""
