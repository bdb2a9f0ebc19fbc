"""What sets T: parameters, then decisions, and the messages that the controller hears."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from topspark_ros.control.budgets import MAX_SOURCES
from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.controlling import NumberedController, report_of, timesteps_of
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import (
    MessageError,
    budget_age_s,
    decision_fields,
    learner_report,
    status_fields,
    timesteps_from,
)
from topspark_ros.perception.online import Margins, OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.perception.steering import Steering, profile_margins, profile_mismatches

PROFILE = load_profile(Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml')
PARAMETERS = SnnLearnerParameters(
    training_timesteps=32, inference_timesteps=16, inference_margin=0.5
)
NAN = math.nan


def new_learner() -> OnlineLearner:
    return OnlineLearner(
        create_network(NetworkConfig(inputs=4, neurons=2)),
        (),
        Timesteps(1, 1),
        OnlineSettings(),
        ENERGY_TABLES['loihi'],
    )


def message(**fields) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            'sequence': 1,
            'training_timesteps': 8,
            'inference_timesteps': 4,
            'learning_share': 1.0,
            'frame_share': 1.0,
            **fields,
        }
    )


def test_parameters_count_until_a_decision_comes():
    learner = new_learner()
    steering = Steering(learner, PARAMETERS, {})
    assert learner.timesteps == steering.decided == Timesteps(32, 16)
    changed = SnnLearnerParameters(training_timesteps=2, inference_timesteps=2)
    steering.reconfigure(changed)
    assert learner.timesteps == Timesteps(2, 2)
    steering.apply(timesteps_from(message(frame_share=0.5)))
    assert steering.decided == learner.timesteps == Timesteps(8, 4, True, 1, 0.5)
    steering.reconfigure(PARAMETERS)
    assert learner.timesteps == Timesteps(8, 4, True, 1, 0.5)


def test_learning_that_is_not_allowed_stays_off():
    learner = new_learner()
    steering = Steering(learner, replace(PARAMETERS, learning=False), {})
    assert not learner.timesteps.learning
    steering.apply(timesteps_from(message()))
    assert not learner.timesteps.learning and steering.decided.learning
    steering.reconfigure(PARAMETERS)
    assert learner.timesteps.learning
    steering.apply(timesteps_from(message(learning_share=0.0)))
    assert not learner.timesteps.learning


@pytest.mark.parametrize(
    'fields, complaint',
    [
        (
            dict(inference_timesteps=3),
            "inference_timesteps: 3; accepted: one of the profile's 4, 8",
        ),
        (dict(frame_share=NAN), 'frame_share: nan; accepted: 0 to 1'),
    ],
)
def test_a_decision_that_is_rejected_changes_nothing(fields, complaint):
    learner = new_learner()
    steering = Steering(learner, PARAMETERS, {4: Margins(), 8: Margins()})
    with pytest.raises(ValueError) as error:
        steering.apply(timesteps_from(message(**fields)))
    assert str(error.value) == complaint
    assert learner.timesteps == steering.decided == Timesteps(32, 16)


def test_a_profile_tells_margins_and_where_it_does_not_fit():
    margins = profile_margins(PROFILE)
    assert tuple(margins) == PROFILE.timesteps
    point = PROFILE.points[0]
    assert margins[point.timesteps] == Margins(point.training.margin, point.inference.margin)
    network = PROFILE.network
    own = {name: network[name] for name in ('rule', 'neurons', 'max_input_rate')}
    config = SnnLearnerParameters(**own).network_config()
    assert profile_mismatches(PROFILE, config) == []
    other = SnnLearnerParameters(**own | {'neurons': 7})
    (mismatch,) = profile_mismatches(PROFILE, other.network_config())
    assert mismatch == (
        f'measured with neurons {network["neurons"]}, this network has 7: what '
        'decisions expect will be off'
    )
    # Networks of two kinds have nothing but their rule in common.
    discriminant = SnnLearnerParameters(rule='discriminant').network_config()
    (mismatch,) = profile_mismatches(PROFILE, discriminant)
    assert mismatch.startswith('measured with rule recruiting, this network has discriminant: ')


# The controller.


def stamped(time_ns: int) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=time_ns // 10**9, nanosec=time_ns % 10**9))


def status(now_s: float, sequence: int = 0) -> SimpleNamespace:
    learner = new_learner()
    learner.set_timesteps(Timesteps(16, 8, sequence=sequence))
    return SimpleNamespace(
        header=stamped(round(now_s * 1e9)),
        **status_fields(
            learner.status(now_s),
            active_s=now_s,
            received=0,
            dropped=0,
            rejected=0,
            skipped=0,
            energy_model='loihi',
        ),
    )


def budget(power: float, stamp_ns: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        header=stamped(stamp_ns),
        source='operator',
        power=power,
        energy=NAN,
        duration=NAN,
        deadline=NAN,
        min_accuracy=NAN,
        lifetime=5.0,
    )


@pytest.fixture
def controller():
    return NumberedController(PROFILE, TimestepControllerParameters().control_settings())


def test_decisions_are_numbered(controller):
    assert not controller.decide(0.0) and controller.decision is None  # nothing heard yet
    controller.on_status(0.1, status(0.1))
    assert controller.decide(0.1) and controller.sequence == 1
    assert not controller.decide(0.2)
    first = controller.decision
    controller.on_budget(0.3, budget(1e-7), 3 * 10**8, 3 * 10**8)
    assert controller.decide(0.3) and controller.sequence == 2
    assert controller.decision.setting != first.setting
    learner, timesteps = new_learner(), timesteps_of(controller.decision, controller.sequence)
    Steering(learner, PARAMETERS, profile_margins(PROFILE)).apply(timesteps)
    assert learner.timesteps == timesteps and learner.timesteps.sequence == 2


def test_a_replay_hands_over_what_messages_say(controller):
    """Decisions, and the learner's status."""
    message = status(0.5, sequence=3)
    controller.on_status(0.5, message)
    assert controller.decide(0.5)
    fields = decision_fields(controller.decision, controller.sequence)
    assert timesteps_from(SimpleNamespace(**fields)) == timesteps_of(
        controller.decision, controller.sequence
    )

    learner = new_learner()
    learner.set_timesteps(Timesteps(16, 8, sequence=3, frame_share=0.25))
    learner.classify(10**9, np.full(4, 200, np.float32), 1.0)
    learner.learn_waiting(1.2)
    known = learner.status(1.5)
    message = SimpleNamespace(
        header=stamped(3 * 10**9 // 2),
        **status_fields(
            known, active_s=1.25, received=5, dropped=0, rejected=0, skipped=4, energy_model='loihi'
        ),
    )
    report = report_of(known, 1.5, active_s=1.25, skipped=4)
    assert report == learner_report(message)
    assert report.classified == report.learned == 1 and report.energy_j > 0.0 and report.decided


def test_trials_reach_the_controller_as_they_were_counted():
    learner = new_learner()
    learner.set_timesteps(Timesteps(16, 8))
    for second in range(1, 30):
        learner.classify(second * 10**9, np.full(4, 200, np.float32), float(second))
        learner.add_label(second * 10**9, 'it')
    known = learner.status(30.0)
    assert known.accuracy > 0.9 and known.trials
    fields = status_fields(
        known, active_s=30.0, received=29, dropped=0, rejected=0, skipped=0, energy_model='loihi'
    )
    told = learner_report(SimpleNamespace(header=stamped(30 * 10**9), **fields)).accuracy
    assert told == report_of(known, 30.0, active_s=30.0, skipped=0).accuracy
    assert [tuple(trial) for trial in told.trials] == [tuple(trial) for trial in known.trials]


@pytest.mark.parametrize(
    'fields, complaint',
    [
        (dict(accuracy=1.5), 'accuracy: 1.5; accepted: 0 to 1, or NaN'),
        (
            dict(trial_worse=[1.0]),
            'lengths of trial_timesteps 0, trial_in_force 0, trial_frames 0, '
            'trial_worse 1, trial_better 0; accepted: all equal, at most 100',
        ),
        (
            dict.fromkeys(
                (
                    'trial_timesteps',
                    'trial_in_force',
                    'trial_frames',
                    'trial_worse',
                    'trial_better',
                ),
                [1] * 101,
            ),
            'lengths of trial_timesteps 101, trial_in_force 101, trial_frames 101, '
            'trial_worse 101, '
            'trial_better 101; accepted: all equal, at most 100',
        ),
        (
            dict(
                trial_timesteps=[1],
                trial_in_force=[2],
                trial_frames=[3.0],
                trial_worse=[NAN],
                trial_better=[0.0],
            ),
            'trial_worse: nan; accepted: finite numbers from 0',
        ),
    ],
)
def test_an_accuracy_that_is_none_is_rejected(controller, fields, complaint):
    broken = status(0.0)
    vars(broken).update(fields)
    with pytest.raises(MessageError) as error:
        controller.on_status(0.0, broken)
    assert str(error.value) == complaint


def test_numbers_go_on_from_those_that_the_learner_knows(controller):
    controller.on_status(0.0, status(0.0, sequence=41))
    budget_set_ns = 10**9
    controller.on_budget(0.0, budget(1e-7, budget_set_ns), budget_set_ns, budget_set_ns)
    assert controller.decide(0.0) and controller.sequence == 42


@pytest.mark.parametrize('stamp_ns, published_ns', [(10**9, 3 * 10**9), (0, 10**9)])
def test_a_budget_lapses_by_its_own_stamp_or_else_since_it_was_published(
    controller, stamp_ns, published_ns
):
    controller.on_status(0.0, status(0.0))
    assert controller.on_budget(0.0, budget(1e-7, stamp_ns), 4 * 10**9, published_ns) == 3.0
    assert controller.status(0.0).limits.strictest_power_w == 1e-7
    assert math.isnan(controller.status(2.1).limits.strictest_power_w)
    assert budget_age_s(budget(1.0, 10**9), 4 * 10**9, 0) == 3.0
    assert budget_age_s(budget(1.0), 4 * 10**9, 5 * 10**9) == 0.0


@pytest.mark.parametrize('energy', [-1.0, NAN, math.inf])
def test_an_energy_that_is_none_is_rejected(controller, energy):
    broken = status(0.0, sequence=7)
    broken.energy_total_estimated = energy
    with pytest.raises(ValueError, match='energy_total_estimated: .*; accepted: a finite number'):
        controller.on_status(0.0, broken)
    assert controller.sequence == 0
    metered = status(0.0)
    metered.meter, metered.energy_total_measured = 'rapl', 2.0
    assert learner_report(metered).metered and learner_report(metered).energy_j == 2.0


@pytest.mark.parametrize('energy', [-1.0, NAN, 2.5])
@pytest.mark.parametrize('part', ['energy_total_learning', 'energy_total_trials'])
def test_an_energy_of_a_part_that_is_none_is_rejected(controller, part, energy):
    broken = status(0.0)
    broken.energy_total_estimated = 2.0
    setattr(broken, part, energy)
    with pytest.raises(MessageError, match=f'{part}: .*; accepted: 0 to .*, 2'):
        controller.on_status(0.0, broken)


def test_a_budget_that_is_none_is_rejected(controller):
    with pytest.raises(ValueError, match='power is -1.0, accepted is a finite number from 0'):
        controller.on_budget(0.0, budget(-1.0), 0, 0)
    long = budget(1.0)
    long.source = 101 * 'x'
    with pytest.raises(MessageError, match='source: 101 characters; accepted: at most 100'):
        controller.on_budget(0.0, long, 0, 0)
    for number in range(MAX_SOURCES):
        another = budget(1.0)
        another.source = str(number)
        controller.on_budget(0.0, another, 0, 0)
    with pytest.raises(MessageError, match="source: 'operator'; accepted: one of the 50"):
        controller.on_budget(0.0, budget(1.0), 0, 0)


def test_a_number_that_no_decision_can_go_on_from_is_rejected(controller):
    with pytest.raises(MessageError, match='decision_sequence: 9223372036854775808; accepted: bel'):
        controller.on_status(0.0, status(0.0, sequence=2**63))
    assert controller.sequence == 0
