"""A learner that is paused and resumed again and again, from another thread than its worker."""

from __future__ import annotations

import threading
from itertools import count

from every_node import alive
from rig import image

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import Image

from topspark_ros.nodes import qos
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.scenes import SceneRenderer

PAUSES = 100


def test_no_frame_is_lost_count_of_however_often_it_is_paused(domain):
    frame = image(SceneRenderer(load_dataset('digits').images, seed=1).render(0))
    camera = Node('camera')
    frames = camera.create_publisher(Image, 'image', qos.sensor(1))
    with alive(SnnLearner, dict(queue_depth=3, picture_side=28)) as node:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        source = node._source
        ended = threading.Event()

        def send() -> None:
            for number in count(1):
                if ended.wait(0.002):
                    return
                frame.header.stamp.sec = number
                frames.publish(frame)

        sending = threading.Thread(target=send)
        sending.start()
        try:
            for number in range(PAUSES):
                before = source.received
                source.share = 1.0 if number % 2 else 0.5
                while source.received == before:
                    ended.wait(0.001)
                source.share = 0.0
        finally:
            ended.set()
            sending.join()
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        classified = node._learner.totals.classified
        assert source.received >= PAUSES and node._failures.total == 0
        assert source.received == (classified + source.dropped + source.skipped + source.rejected)
    camera.destroy_node()
