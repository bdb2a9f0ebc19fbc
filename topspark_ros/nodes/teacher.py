"""A person's side of the learner's services: what `topspark teach` and its like ask and show."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.task import Future
from sensor_msgs.msg import Image

from topspark_ros import msg, srv
from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import qos
from topspark_ros.nodes.observer import Onlooker

PATIENCE_S = 10.0  # in which a learner that is there is found, and in which it answers
ASK_AGAIN_S = 1.0  # an answer may be lost while the two discover each other
RECEIPT_S = 3.0  # in which an answer is in the learner's status
SPIN_S = 0.02


class LearnerError(TopsparkError):
    """There is no learner, or it rejects what it is asked: one line."""


class Teacher(Onlooker):
    """Asks the learner of a namespace, and hears what it knows.

    classes, status, result, image: what it said last, a Classes, a LearnerStatus, a Classification
        and a sensor_msgs/Image; None before the first. All but the first come only after `look`.
    questions: Question messages that have no answer yet, the latest last, after `hear_questions`.
    """

    def __init__(self, namespace: str = ''):
        super().__init__(namespace)
        self.classes: msg.Classes | None = None
        self.status: msg.LearnerStatus | None = None
        self.result: msg.Classification | None = None
        self.image: Image | None = None
        # Of older ones the learner takes no answer any more.
        self.questions: deque[msg.Question] = deque(maxlen=qos.QUESTION.depth)
        self._learner = self.resolve_topic_name('snn_learner')
        self.create_subscription(
            msg.Classes, f'{self._learner}/classes', self._on_classes, qos.STATE
        )
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
        """Wait until the learner knows this node; LearnerError, with `hint`, if there is none."""
        asked: list[Future] = []
        again_s = 0.0

        def answered() -> bool:
            nonlocal again_s
            if self._state.service_is_ready() and self.elapsed_s >= again_s:
                asked.append(self._state.call_async(GetState.Request()))
                again_s = self.elapsed_s + ASK_AGAIN_S
            return any(future.done() for future in asked)

        if not self._await(answered):
            there = ', '.join(self.learners_elsewhere())
            raise LearnerError(
                f'no learner: {self._learner} does not answer. '
                + (f'There is a learner in {there}.' if there else hint)
            )
        if not self._await(lambda: self.classes is not None):
            state = next(each.result() for each in asked if each.done()).current_state.label
            raise LearnerError(f'{self._learner} is {state}; accepted: one that is active')

    def _await(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Handle what comes until the condition holds; whether it does within this time."""
        end_s = self.elapsed_s + patience_s
        while not condition() and self.elapsed_s < end_s:
            self.spin(SPIN_S)
        return condition()

    # What is asked. Each returns the learner's answer, and raises LearnerError if it rejects that.

    def teach(self, class_name: str, duration_s: float) -> str:
        """Label whatever is in view for so long, s; 0: until `stop`."""
        return self._ask(srv.Teach, class_id=class_name, duration=duration_s)

    def stop(self) -> str:
        """Teach nothing any more."""
        return self._ask(srv.Teach)

    def forget(self, class_name: str) -> str:
        """Forget a class."""
        return self._ask(srv.ForgetClass, class_id=class_name)

    def rename(self, old: str, new: str) -> str:
        """Give a class another name."""
        return self._ask(srv.RenameClass, class_id=old, new_class_id=new)

    def _ask(self, kind: type, **fields: Any) -> str:
        client = self._asked[kind]
        # The learner has had others for longer, so that these may still be unknown here.
        if not self._await(client.service_is_ready):
            raise LearnerError(f'{client.srv_name} is not there')
        future = client.call_async(kind.Request(**fields))
        if not self._await(future.done):
            raise LearnerError(f'{client.srv_name} does not answer within {PATIENCE_S:g} s')
        answer = future.result()
        if not answer.success:
            raise LearnerError(answer.message)
        return answer.message

    # What is heard.

    def look(self) -> None:
        """From now on hear what the learner sees, what it takes that for, and how it learns."""
        self.create_subscription(
            msg.LearnerStatus, f'{self._learner}/status', self._on_status, qos.STATUS
        )
        self.create_subscription(msg.Classification, 'classification', self._on_result, qos.RESULT)
        self.create_subscription(
            Image, f'{self._learner}/debug_image', self._on_image, qos.sensor(1)
        )

    def hear_questions(self) -> None:
        """From now on hear what the learner asks, and what it asked last."""
        self._labels = self.create_publisher(msg.Label, 'label', qos.LABEL)
        self.create_subscription(
            msg.Question, f'{self._learner}/question', self._on_question, qos.QUESTION
        )

    def answer(self, question: msg.Question, class_name: str) -> bool:
        """Whether the learner takes it, as its status tells: see `look`."""
        self.questions.remove(question)
        if not self._await(lambda: self._taken is not None and self._labels_are_heard()):
            raise LearnerError(f'{self._learner} takes no labels')
        before = self._taken
        self._labels.publish(msg.Label(header=question.header, class_id=class_name))
        return self._await(lambda: self._taken != before, RECEIPT_S)

    @property
    def _taken(self) -> int | None:
        """Answers so far; None: unknown."""
        return None if self.status is None else self.status.answers

    def _labels_are_heard(self) -> bool:
        return self._labels.get_subscription_count() > 0

    def frames(self, class_name: str) -> int:
        """Of a class, that were learned with its label."""
        known = self.classes
        return 0 if known is None else dict(zip(known.class_ids, known.frames)).get(class_name, 0)

    def _on_classes(self, message: msg.Classes) -> None:
        self.classes = message

    def _on_status(self, message: msg.LearnerStatus) -> None:
        self.status = message

    def _on_result(self, message: msg.Classification) -> None:
        self.result = message

    def _on_question(self, message: msg.Question) -> None:
        self.questions.append(message)

    def _on_image(self, message: Image) -> None:
        self.image = message
