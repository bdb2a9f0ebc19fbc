"""The learner's services for people: teach what is in view, forget a class, rename it."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecyclePublisher
from std_msgs.msg import Header

from topspark_ros import msg, srv
from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import conversions
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.perception.online import OnlineLearner
from topspark_ros.perception.teaching import LabelError, Teaching
from topspark_ros.streams import cdr


class ClassServices:
    """~/teach, ~/forget_class and ~/rename_class of a learner, from configuration to clean-up.

    While something is taught, each frame is labelled on the topic `label`, which the learner hears
    as it hears any other teacher. So there is one way by which labels come in, and a recording of
    the topics has all that was taught, frame by frame: a replay repeats it.

    labels, classes: publishers of Label and, latched, of Classes.
    why_not_learning: what keeps the learner from learning now; empty: nothing.
    """

    def __init__(
        self,
        node: ManagedNode,
        learner: OnlineLearner,
        labels: LifecyclePublisher,
        classes: LifecyclePublisher,
        why_not_learning: Callable[[], str],
    ):
        self._node, self._learner = node, learner
        self._labels, self._classes = labels, classes
        self._why_not_learning = why_not_learning
        self._teaching: Teaching | None = None
        self._unstamped = False  # whether the last frame that was to be labelled has no stamp
        self._told: object = None  # what was published last
        for kind, name, act in (
            (srv.Teach, 'teach', self._teach),
            (srv.ForgetClass, 'forget_class', self._forget),
            (srv.RenameClass, 'rename_class', self._rename),
        ):
            node.create_service(kind, f'~/{name}', self._answering(act))

    def begin(self) -> None:
        """The node is active: tell of the classes anew."""
        self._told = None
        self.publish()

    def stop(self) -> None:
        """Nothing is taught any more."""
        self._teaching = None

    def label(self, header: cdr.Header, received_s: float, now_s: float) -> None:
        """Label the frame with this header, which was just classified, if something is taught.

        received_s: when it was, monotonic.
        """
        teaching = self._teaching
        if teaching is None or not teaching.names(received_s, now_s):
            return
        self._unstamped = conversions.stamp_ns(header.stamp) == 0
        if not self._unstamped:  # else the label would name the next frame, whatever that shows
            self._labels.publish(conversions.label_message(teaching.class_name, header))

    def publish(self) -> None:
        """Tell of the classes, if something is different now."""
        teaching = self._present(self._node.now_s())
        classes, not_learning = self._learner.classes(), self._hindrance()
        if (classes, teaching, not_learning) == self._told:
            return
        self._told = classes, teaching, not_learning
        message = msg.Classes(
            header=Header(stamp=self._node.get_clock().now().to_msg()),
            class_ids=[each.name for each in classes],
            frames=[each.frames for each in classes],
            not_learning=not_learning,
        )
        if teaching is not None:
            message.taught = teaching.class_name
            if math.isfinite(teaching.end_s):
                message.until = conversions.stamp(round(teaching.end_s * 1e9))
        self._classes.publish(message)

    # ---------------------------------------------------------------------------------------

    def _answering(self, act: Callable[[Any], str]) -> Callable[[Any, Any], Any]:
        """A service that says what was done, or what is rejected."""

        def answer(request: Any, response: Any) -> Any:
            try:
                response.message = act(request)
                response.success = True
            except TopsparkError as error:
                response.message = str(error)
            self.publish()
            return response

        return answer

    def _teach(self, request: srv.Teach.Request) -> str:
        name, duration_s = request.class_id, request.duration
        if not name:
            before, self._teaching = self._present(self._node.now_s()), None
            return f'{before.class_name!r} is no longer taught' if before else 'nothing was taught'
        if not 0.0 <= duration_s < math.inf:
            raise LabelError(
                f'duration: {duration_s:g} s; accepted: 0 (until it is stopped), or a time above 0'
            )
        if self._node.state != 'active':
            raise LabelError(
                f'class_id: {name!r}, while the learner is {self._node.state}; '
                'accepted: while it is active'
            )
        self._learner.add_class(name)
        now_s = self._node.now_s()
        teaching, end_s = self._present(now_s), now_s + (duration_s or math.inf)
        if teaching is not None and teaching.class_name == name:  # it goes on
            self._teaching = dataclasses.replace(teaching, end_s=end_s)
        else:
            self._teaching, self._unstamped = Teaching(name, now_s, end_s, time.monotonic()), False
        line = f'{name!r} is taught '
        line += f'for {duration_s:g} s' if duration_s else 'until it is stopped'
        why = self._hindrance()
        return f'{line}, but nothing is learned now: {why}' if why else line

    def _forget(self, request: srv.ForgetClass.Request) -> str:
        name = request.class_id
        frames = {each.name: each.frames for each in self._learner.classes()}
        if self._teaching is not None and self._teaching.class_name == name:
            self._teaching = None
        self._learner.forget_class(name)
        return f'{name!r} is forgotten, of which {frames.get(name, 0)} frames were learned'

    def _rename(self, request: srv.RenameClass.Request) -> str:
        old, new = request.class_id, request.new_class_id
        # Meanwhile the worker labels no frame by either name.
        teaching, self._teaching = self._teaching, None
        try:
            self._learner.rename_class(old, new)
            if teaching is not None and teaching.class_name == old:
                teaching = dataclasses.replace(teaching, class_name=new)
        finally:
            self._teaching = teaching
        return f'{old!r} is {new!r} from now on'

    def _hindrance(self) -> str:
        """Why nothing is learned now; empty: frames are learned."""
        why = self._why_not_learning()
        if not why and self._unstamped:
            why = 'frames have no stamp (header.stamp is zero), by which a label names them'
        return why

    def _present(self, now_s: float) -> Teaching | None:
        """What is taught now."""
        teaching = self._teaching
        return teaching if teaching is not None and teaching.holds(now_s) else None
