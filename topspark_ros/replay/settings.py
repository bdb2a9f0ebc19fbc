"""How a bag is evaluated."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from topspark_ros.errors import TopsparkError
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.replay.topics import TopicNames, Topics
from topspark_ros.streams.bags import Topic

# Of a node that runs live: without a meaning here, where nothing is late and all is estimated.
LIVE = {
    'queue_depth',
    'meter',
    'core_power',
    'base_power',
    'meter_channel',
    'checkpoint_file',
    'checkpoint_period',
    'load_file',
}


class EvaluationError(TopsparkError):
    """Settings were rejected: one line with the value and what is accepted."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How a bag is evaluated.

    name: of the run.
    learner: the node's parameters. Its `input` is of no matter, the topic's type tells it.
    controller: the node's parameters, with a profile_file; None: T stays what the learner's
        parameters say.
    topics: of the bag, by name; kind: of the input, as of `find_topics`.
    labels: CSV file, in the place of the label topic.
    weights: checkpoint to begin with; None: untrained. save_weights: where to write it at the end.
    start_s, duration_s: what of the bag is evaluated, s; what a budget set before counts.

    Raises EvaluationError for times that are none.
    """

    name: str
    learner: SnnLearnerParameters = SnnLearnerParameters()
    controller: TimestepControllerParameters | None = None
    topics: TopicNames = TopicNames()
    kind: str = ''
    labels: Path | None = None
    weights: Path | None = None
    save_weights: Path | None = None
    start_s: float = 0.0
    duration_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_s < math.inf:
            raise EvaluationError(f'start is {self.start_s:g} s, accepted is 0 or more')
        if not 0.0 < self.duration_s:
            raise EvaluationError(f'duration is {self.duration_s:g} s, accepted is above 0')


def described(settings: EvaluationSettings, bag: Path, topics: Topics) -> dict[str, object]:
    """Settings as plain values by name, those that count for a bag."""

    def name(topic: Topic | None) -> str:
        return '' if topic is None else topic.name

    values = {
        'bag': str(bag),
        'topic': name(topics.input),
        'labels': name(topics.label) if settings.labels is None else str(settings.labels),
        'weights': '' if settings.weights is None else str(settings.weights),
        'start_s': settings.start_s,
        'duration_s': settings.duration_s,
    }
    values |= {key: value for key, value in asdict(settings.learner).items() if key not in LIVE}
    values['input'] = topics.kind
    values['energy_source'] = settings.learner.energy_table().source
    if settings.controller is not None:
        values |= {'battery_topic': name(topics.battery), 'budget_topic': name(topics.budget)}
        values |= {f'controller.{key}': value for key, value in asdict(settings.controller).items()}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
    }
