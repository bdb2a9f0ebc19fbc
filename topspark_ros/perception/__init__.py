"""Online perception without ROS: what the learner node runs live and a replay runs offline."""
