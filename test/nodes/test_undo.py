"""What a transition made is undone once, in reverse order, and when nothing uses it any more."""

from __future__ import annotations

import threading

from rig import composed, msg  # noqa: F401  skips without ROS

from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter

from topspark_ros.nodes.timestep_controller import TimestepController
from topspark_ros.nodes.undo import Undo

CONTROLLER = 'timestep_controller'


def test_steps_run_once_in_reverse_order_whichever_fail():
    undo, done = Undo(), []

    def stuck() -> None:
        raise OSError('stuck')

    for step in ('first', 'second'):
        undo.add(done.append, step)
        undo.add(stuck)
    failures = undo.run()
    assert done == ['second', 'first']
    assert len(failures) == 2 and all('OSError: stuck' in failure for failure in failures)
    assert undo.run() == [] and len(done) == 2


def test_a_callback_that_comes_too_late_does_nothing():
    undo, calls = Undo(), []

    def served(request, response):
        calls.append(request)
        return 'answered'

    service, timer = undo.guarded(served), undo.guarded(lambda: calls.append('tick'))
    assert service('asked', 'unanswered') == 'answered'
    timer()
    undo.run()
    assert service('asked again', 'unanswered') == 'unanswered' and timer() is None
    assert calls == ['asked', 'tick']
    undo.guarded(served)('of the next transition', '')
    assert calls[-1] == 'of the next transition'


def test_a_callback_may_itself_undo():
    undo, done = Undo(), []
    undo.add(done.append, 'undone')
    undo.guarded(undo.run)()
    assert done == ['undone']


def test_deactivate_waits_for_a_callback_of_another_thread(rig, monkeypatch):
    """Of an executor with several threads: the callback uses what is about to be destroyed."""
    looking, may_go_on, looked = threading.Event(), threading.Event(), threading.Event()
    node = TimestepController(
        namespace=rig.namespace, parameter_overrides=[Parameter('control_period', value=0.05)]
    )
    look = node._on_control_period

    def slow_period() -> None:
        looking.set()
        may_go_on.wait()
        look()
        looked.set()

    monkeypatch.setattr(node, '_on_control_period', slow_period)
    try:
        with composed(node):
            rig.wait_for(looking.is_set, 'the controller looks around')
            deactivated = rig.transit_async(CONTROLLER, Transition.TRANSITION_DEACTIVATE)
            rig.wait_for(lambda: node.state != 'active')
            assert node.state == 'deactivating' and not deactivated.done()
            may_go_on.set()
            assert rig.answer(deactivated).success and looked.is_set()
            assert rig.transit(CONTROLLER, Transition.TRANSITION_ACTIVATE)
    finally:
        may_go_on.set()
