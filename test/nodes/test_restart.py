"""Learner and controller both killed and started again: nothing that counts is lost."""

from __future__ import annotations

import math

from rig import Camera, image, msg

from std_srvs.srv import Trigger

from topspark_ros.nodes import qos

LEARNER, CONTROLLER = 'snn_learner', 'timestep_controller'
LIMIT_W = 2e-5


class Life:
    """Both nodes from their start to their death, and what they said."""

    def __init__(self, rig, checkpoint):
        self.statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
        self.controller = rig.collect(msg.ControllerStatus, f'{CONTROLLER}/status')
        self.decisions = rig.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        self.learner = rig.start(LEARNER, checkpoint_file=str(checkpoint))
        self._processes = [self.learner, rig.start(CONTROLLER)]
        self._rig = rig
        self.camera = Camera(rig)
        rig.wait_for(lambda: self.statuses and self.controller, 'both are active')

    def wait_until_it_keeps_the_limit(self) -> None:
        def kept() -> bool:
            self.camera.send(image(self.camera.next_digit()[0]))  # it spends while it sees
            return (
                self.camera.results
                and self.decisions
                and self.controller[-1].power_limit == LIMIT_W
                and self.decisions[-1].expected_power <= LIMIT_W
                and self.statuses[-1].decision_sequence == self.decisions[-1].sequence
            )

        self._rig.wait_for(kept, 'the limit is kept')

    def kill(self) -> None:
        for process in self._processes:
            process.kill()


def test_killed_together_they_go_on_with_weights_and_budget(rig, tmp_path):
    checkpoint = tmp_path / 'weights.topspark'
    first = Life(rig, checkpoint)
    first.camera.meet(lambda: image(first.camera.next_digit()[0]))
    first.camera.teach(20)
    neurons = rig.latest(
        first.statuses, lambda status: status.recruited_neurons, 'it learned'
    ).recruited_neurons
    rig.publish(
        'power_budget',
        msg.PowerBudget(
            source='operator',
            power=LIMIT_W,
            energy=math.nan,
            duration=math.nan,
            deadline=math.nan,
            min_accuracy=math.nan,
            lifetime=math.nan,
        ),
        qos.STATE,
    )
    first.wait_until_it_keeps_the_limit()
    assert rig.call(Trigger, f'{LEARNER}/save_weights').success
    first.kill()

    second = Life(rig, checkpoint)
    assert f'resumed from {checkpoint}: ' in second.learner.log
    assert second.statuses[0].recruited_neurons >= neurons > 0
    assert second.statuses[0].frames_classified == 0
    second.wait_until_it_keeps_the_limit()
    assert second.camera.results[0].class_ids == first.camera.results[-1].class_ids
    assert list(second.controller[-1].budget_sources) == ['operator']
