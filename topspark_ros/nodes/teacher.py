"""A person's side of the learner's services: what `topspark teach` and its like ask and show."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.task import Future
from sensor_msgs.msg import Image

from topspark_ros import msg, srv
from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import qos
from topspark_ros.nodes.observer import Onlooker

FIND_S = 5.0  # in which a learner that is there is found
ANSWER_S = 5.0  # in which it answers
ASK_AGAIN_S = 1.0  # an answer may be lost while the two discover each other
SPIN_S = 0.02


class LearnerError(TopsparkError):
    """There is no learner, or it rejects what it is asked: one line."""


class Teacher(Onlooker):
    """Asks the learner of a namespace, and hears what it knows.

    classes, result, image: what it said last, a Classes, a Classification and a sensor_msgs/Image;
        None before the first. The last two come only after `look`.
    """

    def __init__(self, namespace: str = ''):
        super().__init__(namespace)
        self.classes: msg.Classes | None = None
        self.result: msg.Classification | None = None
        self.image: Image | None = None
        self._learner = self.resolve_topic_name('snn_learner')
        self.create_subscription(msg.Classes, f'{self._learner}/classes', self._on_classes, qos.STATE)
        self._asked: dict[type, Client] = {
            kind: self.create_client(kind, f'{self._learner}/{name}')
            for kind, name in (
                (srv.Teach, 'teach'),
                (srv.ForgetClass, 'forget_class'),
                (srv.RenameClass, 'rename_class'),
            )
        }
        # Made last: whoever answers it has discovered all of the above.
        self._state = self.create_client(GetState, f'{self._learner}/get_state')

    def find(self, hint: str) -> None:
        """Wait until the learner knows this node; LearnerError, with `hint`, where there is none."""
        end_s, again_s = self.elapsed_s + FIND_S, 0.0
        future: Future | None = None
        while future is None or not future.done():
            if self.elapsed_s > end_s:
                there = ', '.join(self.learners_elsewhere())
                raise LearnerError(
                    f'no learner: {self._learner} does not answer. '
                    + (f'There is a learner in {there}.' if there else hint)
                )
            if self._state.service_is_ready() and self.elapsed_s >= again_s:
                future, again_s = self._state.call_async(GetState.Request()), (
                    self.elapsed_s + ASK_AGAIN_S
                )
            self.spin(SPIN_S)
        state = future.result().current_state.label
        while self.classes is None and self.elapsed_s < end_s:
            self.spin(SPIN_S)
        if self.classes is None:
            raise LearnerError(f'{self._learner} is {state}, accepted is one that is active')

    def ask(self, kind: type, **fields: Any) -> str:
        """What the learner answers; LearnerError for what it rejects.

        kind: of the service. fields: of its request.
        """
        client = self._asked[kind]
        future, end_s = client.call_async(kind.Request(**fields)), self.elapsed_s + ANSWER_S
        while not future.done():
            if self.elapsed_s > end_s:
                raise LearnerError(f'{client.srv_name} does not answer within {ANSWER_S:g} s')
            self.spin(SPIN_S)
        answer = future.result()
        if not answer.success:
            raise LearnerError(answer.message)
        return answer.message

    def look(self) -> None:
        """From now on hear what the learner sees, and what it takes that for."""
        self.create_subscription(msg.Classification, 'classification', self._on_result, qos.RESULT)
        self.create_subscription(
            Image, f'{self._learner}/debug_image', self._on_image, qos.sensor(1)
        )

    def frames(self, class_name: str) -> int:
        """Of a class, that were learned with its label."""
        known = self.classes
        return 0 if known is None else dict(zip(known.class_ids, known.frames)).get(class_name, 0)

    def _on_classes(self, message: msg.Classes) -> None:
        self.classes = message

    def _on_result(self, message: msg.Classification) -> None:
        self.result = message

    def _on_image(self, message: Image) -> None:
        self.image = message
