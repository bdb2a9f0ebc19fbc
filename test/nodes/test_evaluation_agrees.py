"""The learner that hears a bag message by message does what the evaluation of the bag says."""

from __future__ import annotations

from itertools import count

from rig import Camera, image, msg

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from several_pictures import write_pictures
from std_srvs.srv import Trigger

from topspark_ros.nodes import qos
from topspark_ros.nodes.conversions import stamp
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.recording import IMAGE, RecordingSettings, record
from topspark_ros.replay.results import NONE
from topspark_ros.replay.settings import EvaluationSettings
from topspark_ros.streams.bags import Bag

# A frame is learned before the one that comes 5 s later in the bag, whose clock the node has.
PARAMETERS = dict(
    picture_side=28,
    training_timesteps=32,
    inference_timesteps=8,
    label_wait=5.0,
    inference_margin=0.6,
)


@pytest.mark.parametrize('max_objects', [1, 4])
def test_the_node_and_the_evaluation_agree_frame_by_frame(rig, tmp_path, max_objects):
    several = max_objects > 1
    settings = RecordingSettings(
        str(write_pictures(tmp_path / 'pictures')) if several else 'digits',
        width=96,
        height=72,
        rate_hz=1.0,
        frames=60,
        label_share=0.8,
    )
    path = tmp_path / 'bag'
    record(path, settings)
    parameters = PARAMETERS | {'max_objects': max_objects}
    run = evaluate(path, EvaluationSettings('T', SnnLearnerParameters(**parameters)))

    rig.start('snn_learner', **parameters, use_sim_time=True, queue_depth=20)
    rig.wait_until_active('snn_learner')
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera.teach(1)
    seconds = count(1)

    def label_is_heard() -> bool:
        # Statuses are due as the clock goes on.
        rig.publish('/clock', Clock(clock=stamp(next(seconds) * 10**9)), qos.sensor(1))
        rig.spin(0.1)
        return bool(statuses) and statuses[-1].labels_received == 1

    rig.wait_for(label_is_heard)
    assert rig.call(Trigger, 'snn_learner/reset_weights').success

    results = []
    with Bag(path, typestore()) as bag:
        for recorded in bag.messages(
            [topic for topic in bag.topics if topic.name in ('/image', '/label')]
        ):
            rig.publish('/clock', Clock(clock=stamp(recorded.recorded_ns)), qos.sensor(1))
            if recorded.topic == IMAGE.name:
                frame = deserialize_message(recorded.data, Image)
                rig.publish('image', frame, qos.sensor(10))
                results.append(rig.wait_for(lambda: camera.result(frame.header.stamp)))
            else:
                rig.publish('label', deserialize_message(recorded.data, msg.Label), qos.LABEL)

    frames = run.frames
    assert [result.class_id for result in results] == [
        '' if index == NONE else run.class_names[index] for index in frames['predicted']
    ]
    np.testing.assert_array_equal([result.score for result in results], frames['score'])
    np.testing.assert_array_equal([result.confidence for result in results], frames['confidence'])
    assert [result.unknown for result in results] == frames['unknown'].tolist()
    np.testing.assert_array_equal([result.energy for result in results], frames['energy_j'])
    assert [result.timesteps for result in results] == frames['timesteps'].tolist()
    further = [result.further_objects for result in results]
    assert sum(further) == run.counts['further objects']
    assert set(further) == ({1, 2} if several else {0})
    assert min(frames['timesteps']) < 8 and (frames['predicted'] == frames['label']).sum() > 10
