"""A spiking network that learns online, and a controller of its timesteps, for ROS 2."""

import os

# OpenCV reads it once, when it is loaded: a file of a kilobyte may claim a gigabyte of pixels.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(1 << 26))
