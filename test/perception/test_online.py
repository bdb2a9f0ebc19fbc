"""The online learner without ROS: which label teaches which frame, and what is counted."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from topspark_ros.engine import (
    MAX_CLASSES,
    NORMALISATIONS,
    NetworkConfig,
    SpikeTrain,
    create_network,
    input_rate,
    load_checkpoint,
    save_checkpoint,
)
from topspark_ros.engine.kernels.stdp import target_spikes
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.online import (
    MAX_OPEN,
    PAUSE_S,
    ClassCount,
    Margins,
    OnlineLearner,
    OnlineSettings,
    Timesteps,
    Totals,
)
from topspark_ros.perception.teaching import MAX_KEPT, Teaching
from topspark_ros.perception.trials import TrialSettings
from topspark_ros.streams.datasets import load_dataset

CONFIG = NetworkConfig(inputs=64, neurons=60, max_input_rate=2.0, seed=1)
DIGITS = load_dataset('digits')
PIXELS = DIGITS.images.reshape(-1, 64)
NAMES = [DIGITS.class_names[label] for label in DIGITS.labels]
WAIT_S = 0.15
PAUSED_S = WAIT_S + PAUSE_S
SECOND = 1_000_000_000
RATE_HZ = 5  # so slow that each frame is learned before the next is classified


def new_learner(
    accuracy_window: int = 200, encoder_energy_j: float = 0.0, **timesteps
) -> OnlineLearner:
    return OnlineLearner(
        create_network(CONFIG),
        (),
        Timesteps(**{'training': 16, 'inference': 16, **timesteps}),
        OnlineSettings(WAIT_S, accuracy_window, trials=TrialSettings({})),
        ENERGY_TABLES['loihi'],
        encoder_energy_j,
    )


@pytest.fixture
def learner():
    return new_learner()


def teach(learner, frames: int, start: int = 0) -> list[str | None]:
    """Labelled frames, the last of which still waits; returns the predictions."""
    predictions = []
    for frame in range(start, start + frames):
        stamp_ns, now_s = (frame + 1) * SECOND // RATE_HZ, frame / RATE_HZ
        index = frame % len(NAMES)
        predictions.append(learner.classify(stamp_ns, PIXELS[index], now_s).class_name)
        learner.add_label(stamp_ns, NAMES[index])
    return predictions


def knows(learner, frame: int) -> bool:
    """Once all that waits has been learned."""
    learner.learn_due(1e6)
    return learner.classify(0, PIXELS[frame], 1e6).class_name == NAMES[frame]


# Labels.


def test_a_label_teaches_the_frame_that_waits_for_it(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    learner.add_label(SECOND, NAMES[0])
    assert knows(learner, 0)
    assert (learner.totals.labels, learner.totals.labels_unmatched) == (1, 0)


def test_a_label_may_come_before_its_frame(learner):
    learner.add_label(SECOND, NAMES[0])
    learner.classify(SECOND, PIXELS[0], 0.0)
    assert knows(learner, 0)


def test_who_gives_a_label_is_told_which_frames_it_names(learner):
    assert learner.classify(SECOND, PIXELS[0], 0.0, SECOND // 2, SECOND + 1).label is None
    assert learner.add_label(SECOND - 1, NAMES[0]) == [SECOND]
    assert learner.add_label(2 * SECOND, NAMES[1]) == []
    assert learner.classify(2 * SECOND, PIXELS[1], 0.0).label == NAMES[1]
    assert learner.add_label(0, NAMES[2]) == []
    assert learner.classify(0, PIXELS[2], 0.0).label == NAMES[2]
    assert learner.add_label(SECOND // 2, NAMES[0], 3 * SECOND) == [2 * SECOND]  # one was learned


WINDOWS = [
    (SECOND + part * SECOND // 10, SECOND + (part + 1) * SECOND // 10) for part in range(5)
]  # (begin, end), one after the other


@pytest.mark.parametrize(
    'stamp_ns, until_ns, named',
    [
        (WINDOWS[1][0], 0, [1]),  # a moment: the window that it lies in
        (WINDOWS[1][0] + 1, 0, [1]),
        (WINDOWS[1][1] - 1, 0, [1]),
        (WINDOWS[1][0] - 1, 0, [0]),
        (WINDOWS[1][0], WINDOWS[1][1], [1]),  # a span: the windows within it
        (WINDOWS[1][0], WINDOWS[3][1], [1, 2, 3]),
        (WINDOWS[1][0] + 1, WINDOWS[3][1] - 1, [2]),
        (WINDOWS[1][0] + 1, WINDOWS[2][1] - 1, []),
        (SECOND // 2, 9 * SECOND, [0, 1, 2, 3, 4]),
        (SECOND // 2, WINDOWS[0][0], []),
    ],
)
@pytest.mark.parametrize('before', range(len(WINDOWS) + 1))
def test_a_label_teaches_the_windows_that_lie_in_its_time_whenever_it_comes(
    learner, stamp_ns, until_ns, named, before
):
    labels = {}
    for number, (begin_ns, end_ns) in enumerate(WINDOWS):
        if number == before:
            for frame in learner.add_label(stamp_ns, NAMES[0], until_ns):
                labels[frame] = NAMES[0]
        labels[end_ns - 1] = learner.classify(
            end_ns - 1, PIXELS[number], number / 10, begin_ns, end_ns
        ).label
    if before == len(WINDOWS):
        for frame in learner.add_label(stamp_ns, NAMES[0], until_ns):
            labels[frame] = NAMES[0]
    assert [number for number, (_, end_ns) in enumerate(WINDOWS) if labels[end_ns - 1]] == named
    learner.learn_due(9.0)
    learner.drop_labels()
    totals = learner.totals
    assert totals.learned == len(WINDOWS)
    assert (totals.labels, totals.labels_unmatched) == (1, not named)
    assert learner.status(9.0).accuracy_frames == len(named)


def test_of_two_spans_with_a_change_in_between_none_teaches_the_window_of_the_change(learner):
    change_ns = sum(WINDOWS[2]) // 2
    learner.add_label(SECOND, NAMES[0], change_ns)
    learner.add_label(change_ns, NAMES[1], 2 * SECOND)
    labels = [
        learner.classify(end_ns, PIXELS[0], 0.0, begin_ns, end_ns).label
        for begin_ns, end_ns in WINDOWS
    ]
    assert labels == [NAMES[0], NAMES[0], None, NAMES[1], NAMES[1]]


def test_a_span_teaches_the_images_whose_stamps_lie_in_it(learner):
    learner.add_label(2 * SECOND, NAMES[0], 4 * SECOND)
    labels = [learner.classify(second * SECOND, PIXELS[0], second).label for second in range(1, 6)]
    assert labels == [None, NAMES[0], NAMES[0], NAMES[0], None]


@pytest.mark.parametrize('stamp_ns, until_ns', [(2 * SECOND, SECOND), (0, SECOND)])
def test_a_span_that_is_none_is_rejected(learner, stamp_ns, until_ns):
    with pytest.raises(ValueError, match='until: 1.000 s with header.stamp .* accepted: zero, or'):
        learner.add_label(stamp_ns, NAMES[0], until_ns)
    assert learner.totals.labels == 0


def test_a_label_between_two_frames_is_counted(learner):
    learner.classify(SECOND, PIXELS[0], 0.0, SECOND // 2, SECOND + 1)
    learner.add_label(SECOND + 5, NAMES[0])
    learner.classify(2 * SECOND, PIXELS[1], 0.0, SECOND + 10, 2 * SECOND + 1)
    assert learner.totals.labels_unmatched == 1
    learner.add_label(SECOND // 2 - 1, NAMES[0])
    assert learner.totals.labels_unmatched == 2


def test_two_frames_of_one_stamp_are_both_learned(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    learner.classify(SECOND, PIXELS[1], 0.0)
    learner.learn_due(1.0)
    assert learner.totals.learned == 2


def test_spikes_are_made_for_the_t_of_each_presentation(learner):
    class Sample:
        asked = []

        def presented(self, timesteps):
            self.asked.append(timesteps)
            return SpikeTrain(np.arange(timesteps), np.arange(timesteps))

    learner.set_timesteps(Timesteps(training=7, inference=5))
    learner.classify(SECOND, Sample(), 0.0)
    learner.set_timesteps(Timesteps(training=3, inference=9))
    learner.add_label(SECOND, NAMES[0])
    learner.learn_due(PAUSED_S)
    assert Sample.asked == [5, 3]


def test_a_label_waits_for_its_own_frame(learner):
    learner.add_label(2 * SECOND, NAMES[1])
    assert learner.classify(SECOND, PIXELS[0], 0.0).label is None
    assert learner.classify(2 * SECOND, PIXELS[1], 0.05).label == NAMES[1]
    assert knows(learner, 1)


def test_a_label_that_comes_too_late_teaches_nothing_and_counts_for_the_accuracy(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    assert learner.learn_due(PAUSED_S) == 1  # as unlabelled
    learner.classify(2 * SECOND, PIXELS[1], PAUSED_S)
    assert learner.add_label(SECOND, NAMES[0]) == [SECOND]
    totals, status = learner.totals, learner.status(PAUSED_S)
    assert (totals.labels_late, totals.labels_unmatched) == (1, 0)
    assert (status.accuracy, status.accuracy_frames) == (0.0, 1)
    assert status.labelled_neurons == 0
    learner.add_label(SECOND, NAMES[0])  # once more: its frame has been counted
    assert (learner.totals.labels_late, learner.totals.labels_unmatched) == (1, 1)
    assert learner.status(PAUSED_S).accuracy_frames == 1


def test_a_label_whose_frame_never_comes_is_counted_when_a_newer_one_does(learner):
    learner.add_label(SECOND, NAMES[0])
    learner.classify(2 * SECOND, PIXELS[1], 0.0)
    assert learner.totals.labels_unmatched == 1


def test_a_label_without_stamp_teaches_the_next_frame(learner):
    learner.classify(SECOND, PIXELS[1], 0.0)
    learner.add_label(0, NAMES[0])
    learner.classify(0, PIXELS[0], 0.01)
    assert knows(learner, 0)


def test_of_two_labels_for_the_next_frame_the_last_counts(learner):
    learner.add_label(0, 'wrong')
    learner.add_label(0, NAMES[0])
    learner.classify(SECOND, PIXELS[0], 0.0)
    assert knows(learner, 0) and learner.totals.labels_unmatched == 1


def test_frames_without_stamp_do_not_replace_each_other(learner):
    for frame in range(3):
        learner.classify(0, PIXELS[frame], 0.0)
    assert learner.learn_due(WAIT_S) == 3


def test_a_new_name_becomes_a_class(learner):
    teach(learner, 5)
    learner.add_label(SECOND * 60, 'seven of nine')
    learner.classify(SECOND * 60, PIXELS[7], 1.0)
    learner.learn_due(9.0)
    assert learner.classify(0, PIXELS[7], 9.0).class_names[-1] == 'seven of nine'


def test_an_endless_name_is_rejected(learner):
    with pytest.raises(ValueError, match='class_id: 201 characters; accepted: at most 200'):
        learner.add_label(1, 'x' * 201)
    learner.add_label(1, 'x' * 200)


@pytest.mark.parametrize('name', ['', '  ', '\n'])
def test_an_empty_name_is_rejected_and_changes_nothing(learner, name):
    with pytest.raises(ValueError, match='class_id: empty'):
        learner.add_label(SECOND, name)
    assert learner.totals.labels == 0


def test_one_class_too_many_is_rejected(learner):
    for number in range(MAX_CLASSES):
        learner.add_label(SECOND, f'class {number}')
    with pytest.raises(ValueError, match=f'at most {MAX_CLASSES}'):
        learner.add_label(SECOND, 'one more')
    learner.add_label(SECOND, 'class 0')


# Accuracy.


def test_accuracy_counts_the_prediction_from_before_learning(learner):
    predictions = teach(learner, 150)
    assert predictions[0] is None
    learner.learn_due(31.0)
    hits = [one == other for one, other in zip(predictions, NAMES)]
    status = learner.status(31.0)
    assert status.accuracy == pytest.approx(np.mean(hits)) and status.accuracy_frames == 150
    assert np.mean(hits[100:]) > np.mean(hits[:50])
    assert status.recruited_neurons > 0 and status.labelled_neurons > 0


def test_accuracy_is_over_its_window():
    learner = new_learner(accuracy_window=20)
    predictions = teach(learner, 50)
    learner.learn_due(11.0)
    status = learner.status(11.0)
    assert status.accuracy_frames == 20
    assert status.accuracy == pytest.approx(
        np.mean([one == other for one, other in zip(predictions[30:], NAMES[30:])])
    )


def test_accuracy_is_unknown_before_the_first_label(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    learner.learn_due(1.0)
    assert math.isnan(learner.status(1.0).accuracy)


# Learning.


def test_a_frame_is_learned_before_the_one_that_comes_label_wait_later(learner):
    for number in range(4):  # 0.05 s apart
        learner.classify(SECOND + number * SECOND // 20, PIXELS[number], 0.05 * number)
        learner.add_label(SECOND + number * SECOND // 20, NAMES[number])
        assert learner.totals.learned == number // 3
    learner.classify(2 * SECOND, PIXELS[4], 1.0)
    assert learner.totals.learned == 4


@pytest.mark.parametrize('burst', [2, 3, 4])
def test_what_is_learned_does_not_depend_on_when_frames_and_labels_arrive(burst):
    """Frames of 30 Hz, each with its label; then in bursts, of which the labels come last."""

    def run(burst: int) -> OnlineLearner:
        learner, results = new_learner(), []
        for first in range(0, 240, burst):
            frames = range(first, first + burst)
            now_s = frames[-1] / 30
            results += [
                learner.classify((frame + 1) * SECOND // 30, PIXELS[frame], now_s)
                for frame in frames
            ]
            for frame in frames:
                if frame % 5:
                    learner.add_label((frame + 1) * SECOND // 30, NAMES[frame])
            learner.learn_due(now_s + 0.001)
        learner.learn_due(99.0)
        return learner, [(result.class_name, result.score) for result in results]

    (one, results), (other, others) = run(1), run(burst)
    np.testing.assert_equal(results, others)
    assert same_weights(one.snapshot()[0], other.snapshot()[0])
    assert other.totals.learned == 240
    assert other.totals.labels_late == other.totals.labels_unmatched == 0


def test_after_a_burst_labels_have_time_to_come(learner):
    for number in range(9):  # 0.9 s of frames at once
        learner.classify(SECOND + number * SECOND // 10, PIXELS[number], 5.0)
    assert learner.learn_due(5.0 + 0.4 * WAIT_S) == 0
    learner.add_label(SECOND, NAMES[0])
    assert learner.learn_due(5.0 + 0.4 * WAIT_S) == 1
    assert learner.learn_due(5.0 + 0.6 * WAIT_S) == 6  # but those that frames may still follow
    assert learner.learn_due(5.0 + PAUSED_S) == 2


def test_a_frame_is_learned_when_it_is_due(learner):
    for frame in range(100):  # whatever the sum of times is rounded to
        now_s = 0.97 * frame
        learner.classify(frame + 1, PIXELS[frame], now_s)
        due_s = learner.next_due_s()
        assert learner.learn_due(math.nextafter(due_s, -math.inf)) == 0
        assert learner.learn_due(due_s) == 1 and due_s == pytest.approx(now_s + PAUSED_S)


def test_when_no_frame_follows_the_clock_decides(learner):
    assert learner.next_due_s() is None
    learner.classify(SECOND, PIXELS[0], 10.0)
    assert learner.next_due_s() == pytest.approx(10.0 + PAUSED_S)
    assert learner.learn_due(10.0 + 0.9 * PAUSED_S) == 0
    assert learner.learn_due(10.0 + 1.1 * PAUSED_S) == 1
    assert learner.next_due_s() is None
    assert learner.totals.learned == 1


def test_at_the_end_all_that_waits_is_learned(learner):
    for number in range(3):
        learner.classify(SECOND + number, PIXELS[number], 10.0)
    learner.add_label(SECOND + 1, NAMES[1])
    learner.learn_waiting(10.0)
    assert learner.totals.learned == 3 and learner.next_due_s() is None
    assert learner.status(10.0).accuracy_frames == 1


# Frames in which nothing stands out.


class NoSpikes:
    def presented(self, timesteps):
        return SpikeTrain(np.empty(0, np.int64), np.empty(0, np.int64))


@pytest.mark.parametrize('nothing', [np.zeros(64, np.float32), NoSpikes()])
def test_an_empty_frame_is_neither_classified_nor_learned_nor_counted_as_right(learner, nothing):
    teach(learner, 50)
    learner.learn_due(20.0)
    before = learner.snapshot()[0]
    learned, energy_j = learner.totals.learned, learner.totals.energy_j
    for number in range(3):
        result = learner.classify((90 + number) * SECOND, nothing, 20.0 + number)
        learner.add_label((90 + number) * SECOND, NAMES[0])
        assert result.empty and result.class_name is None and result.energy_j == 0.0
        assert result.scores.shape == (len(result.class_names),) and not result.scores.any()
    learner.learn_due(30.0)
    totals, status = learner.totals, learner.status(30.0)
    assert (totals.classified, totals.empty) == (53, 3)
    assert (totals.learned, totals.energy_j) == (learned, energy_j)
    assert same_weights(before, learner.snapshot()[0])
    assert totals.labels_unmatched == 0 and status.accuracy_frames == 53
    assert not learner.classify(0, PIXELS[0], 30.0).empty


def test_with_learning_off_frames_are_scored_but_not_learned(learner):
    teach(learner, 100)
    before, _, _ = learner.snapshot()
    learner.set_timesteps(replace(learner.timesteps, learning_share=0.0))
    teach(learner, 20, start=100)
    learner.learn_due(30.0)
    after, _, _ = learner.snapshot()
    assert same_weights(before, after)
    status = learner.status(30.0)
    assert status.totals.learned == 99 and status.accuracy_frames == 120
    assert not learner.classify(0, PIXELS[0], 30.0).learning


def test_the_timestep_changes_between_presentations(learner):
    teach(learner, 50)
    for inference, training in ((4, 32), (350, 1), (16, 16)):
        learner.set_timesteps(Timesteps(training, inference, sequence=inference))
        assert learner.classify(0, PIXELS[60], 20.0).timesteps == inference
        learner.learn_due(20.0 + WAIT_S)
        assert learner.status(21.0).timesteps == Timesteps(training, inference, sequence=inference)


def test_fewer_timesteps_cost_less_energy(learner):
    teach(learner, 50)
    energies = []
    for inference in (2, 8, 32):
        learner.set_timesteps(Timesteps(16, inference))
        energies.append(learner.classify(0, PIXELS[60], 20.0).energy_j)
    assert 0 < energies[0] < energies[1] < energies[2]


# Early exit.


def test_an_encoder_takes_its_energy_of_each_frame_once():
    """Whatever T is, and whether the frame is learned as well; not of an empty one."""
    plain, encoded = new_learner(), new_learner(encoder_energy_j=1e-3)
    for learner in (plain, encoded):
        for number, timesteps in enumerate((1, 64, 16)):
            learner.set_timesteps(Timesteps(16, timesteps))
            teach(learner, 1, number)
        learner.learn_waiting(5.0)
    assert encoded.totals.learned == 3
    assert encoded.totals.energy_j == pytest.approx(plain.totals.energy_j + 3e-3)
    result, other = (learner.classify(0, PIXELS[0], 10.0) for learner in (plain, encoded))
    assert other.energy_j == pytest.approx(result.energy_j + 1e-3)
    assert encoded.status(10.0).activity.energy_j == pytest.approx(other.energy_j)
    assert encoded.classify(0, 0 * PIXELS[0], 10.0).energy_j == 0


def test_further_objects_are_classified_and_counted_and_not_learned(learner):
    teach(learner, 100)
    learner.learn_due(1e6)
    before = learner.totals
    alone = learner.classify(0, PIXELS[3], 2e6)
    result = learner.classify(1, PIXELS[3], 2e6, further=(PIXELS[4], np.zeros(64, np.float32)))
    seen, nothing = result.further
    assert (result.class_name, result.energy_j) == (alone.class_name, alone.energy_j)
    assert seen.class_name == learner.classify(0, PIXELS[4], 2e6).class_name
    assert nothing.empty and nothing.energy_j == 0.0
    assert result.frame_energy_j == result.energy_j + seen.energy_j > result.energy_j

    totals = learner.totals
    assert totals.classified - before.classified == 3
    assert totals.further_objects == 1 and totals.empty == before.empty
    activity = learner.status(2e6).activity
    assert activity.energy_j == pytest.approx((totals.energy_j - before.energy_j) / 3)

    learner.add_label(1, 'something new')  # names the most salient object
    learner.learn_due(3e6)
    assert learner.totals.learned - before.learned == 3  # frames
    assert learner.classes()[-1] == ClassCount('something new', 1)


def test_a_margin_ends_inferences_early_and_saves_energy(learner):
    teach(learner, 150)
    learner.set_timesteps(Timesteps(16, 64, learning_share=0.0))

    def show(frames):
        results = [learner.classify(0, PIXELS[frame], 40.0) for frame in frames]
        return (
            np.mean([result.timesteps for result in results]),
            np.mean([result.energy_j for result in results]),
            np.mean([result.class_name == NAMES[frame] for result, frame in zip(results, frames)]),
        )

    frames = range(200, 400)
    steps, energy_j, accuracy = show(frames)
    assert steps == 64
    learner.set_timesteps(learner.timesteps, Margins(inference=0.4))
    early_steps, early_energy_j, early_accuracy = show(frames)
    assert early_steps < 0.7 * steps and early_energy_j < 0.7 * energy_j
    assert early_accuracy > accuracy - 0.05
    learner.set_timesteps(learner.timesteps)
    assert show(frames) == (steps, energy_j, accuracy)


def test_a_training_margin_ends_learning_early_alone():
    def spent(margins):
        learner = new_learner()
        learner.set_timesteps(Timesteps(64, 4), margins)
        teach(learner, 300)
        activity = learner.status(299 / RATE_HZ).activity
        return activity.synaptic_operations, learner.classify(0, PIXELS[400], 60.0).timesteps

    operations, _ = spent(Margins())
    early_operations, steps = spent(Margins(training=0.5))
    assert steps == 4
    assert early_operations < 0.8 * operations


# The thresholds' gain, under STDP.


@pytest.mark.parametrize('rule', ['pairwise', 'adaptive'])
def test_output_activity_comes_to_its_target_online_and_stays_there_when_t_changes(rule):
    config = replace(CONFIG, rule=rule)
    learner = OnlineLearner(
        create_network(config),
        (),
        Timesteps(64, 64),
        OnlineSettings(WAIT_S, activity_window_s=40.0),
        ENERGY_TABLES['loihi'],
    )

    def relative_activity(timesteps: int, first: int, last: int) -> float:
        """Output spikes of the last 200 inferences among these frames, target: 1."""
        learner.set_timesteps(Timesteps(timesteps, timesteps))
        teach(learner, last - first, start=first)
        input_spikes = (
            input_rate(timesteps, config.max_input_rate) * timesteps * NORMALISATIONS['l2'].spread
        )
        return learner.status((last - 1) / RATE_HZ).activity.output_spikes / target_spikes(
            input_spikes, timesteps, config.neurons
        )

    # Untrained, it is far from it, and the gain is first corrected after 250 frames.
    assert relative_activity(64, 0, 200) > 1.8
    for number, timesteps in enumerate((64, 16, 350, 8)):
        first = 200 + 1000 * number
        assert relative_activity(timesteps, first, first + 1000) == pytest.approx(1, abs=0.25)


# Robustness.


def test_frames_without_labels_do_not_pile_up(learner):
    for frame, pixels in zip(range(10_000), cycle(PIXELS)):
        learner.classify(frame + 1, pixels, 0.0)  # time stands still: none is due
    assert learner.totals.learned == 10_000 - MAX_KEPT
    assert learner.learn_due(PAUSED_S) == MAX_KEPT


def test_labels_without_frames_do_not_pile_up(learner):
    for label in range(10_000):
        learner.add_label(label + 1, '3')
    assert learner.totals.labels_unmatched == 10_000 - MAX_KEPT


def test_a_clock_that_was_set_back_leaves_no_frame_waiting(learner):
    learner.classify(SECOND, PIXELS[0], 1000.0)
    assert learner.learn_due(3.0) == 1


def test_stamps_that_were_set_back_still_find_their_labels(learner):
    teach(learner, 100)
    learner.classify(3, PIXELS[100], 20.0)
    assert learner.totals.learned == 100  # what waited before was not forgotten
    learner.add_label(3, 'after the reset')
    learner.learn_due(25.0)
    assert learner.snapshot()[1][-1] == 'after the reset'
    assert learner.status(25.0).accuracy_frames == 101


# Weights.


def same_weights(one, other) -> bool:
    return all(np.array_equal(array, other.state()[name]) for name, array in one.state().items())


def test_a_snapshot_does_not_learn_on(learner):
    teach(learner, 50)
    network, names, _ = learner.snapshot()
    state = network.state()
    teach(learner, 50, start=50)
    assert all(np.array_equal(array, network.state()[name]) for name, array in state.items())
    assert len(names) <= 10 and not same_weights(network, learner.snapshot()[0])


def test_replaced_weights_answer_at_once_and_counts_stay(learner):
    teach(learner, 100)
    trained = learner.snapshot()
    known = learner.classify(0, PIXELS[5], 20.0)
    learner.classify(99 * SECOND, PIXELS[6], 20.0)  # waits, for weights that are gone
    learner.replace_network(create_network(CONFIG), ())
    assert learner.classify(0, PIXELS[5], 20.0).class_name is None
    assert learner.status(20.0).accuracy_frames == 0
    assert learner.totals.learned == 100

    learner.replace_network(*trained)
    again = learner.classify(0, PIXELS[5], 20.0)
    assert again.class_name == known.class_name
    assert np.array_equal(again.scores, known.scores)


def test_a_checkpoint_without_names_gets_some(learner, tmp_path):
    teach(learner, 50)
    save_checkpoint(tmp_path / 'nameless.ckpt', learner.snapshot()[0])
    learner.replace_network(*load_checkpoint(tmp_path / 'nameless.ckpt'))
    result = learner.classify(0, PIXELS[5], 20.0)
    assert len(result.class_names) == len(result.scores)


def test_equal_runs_are_equal():
    one, other = new_learner(), new_learner()
    assert teach(one, 100) == teach(other, 100)
    assert same_weights(one.snapshot()[0], other.snapshot()[0])
    first, second = one.status(20.0), other.status(20.0)
    untimed = dict(activity=None, costs=())
    assert replace(first, **untimed) == replace(second, **untimed)
    assert [cost[:3] for cost in first.costs] == [cost[:3] for cost in second.costs]
    times = dict(inference_s=0.0)  # the only thing that is not given
    assert replace(first.activity, **times) == replace(second.activity, **times)


# Counts.


def test_the_energy_of_all_frames_is_counted(learner):
    energies = []
    for frame in range(50):
        energies.append(learner.classify(SECOND + frame, PIXELS[frame], 0.0).energy_j)
    assert learner.totals.energy_j == pytest.approx(sum(energies))
    learner.learn_due(1.0)
    # All of it is within the activity window of 2 s.
    assert learner.totals.energy_j == pytest.approx(50 * learner.status(1.0).activity.energy_j)
    assert learner.totals.energy_j > 2 * sum(energies)


def test_the_time_of_an_inference_is_measured(learner):
    assert math.isnan(learner.status(0.0).activity.inference_s)
    began_s = time.perf_counter()
    for frame in range(20):
        learner.classify(SECOND + frame, PIXELS[frame], 0.0)
    assert 0 < 20 * learner.status(0.0).activity.inference_s < time.perf_counter() - began_s


def test_counts_begin_anew_and_what_was_learned_stays(learner):
    teach(learner, 60)
    learner.classify(99 * SECOND, PIXELS[60], 20.0)
    before = learner.status(20.0)
    learner.reset_counts()
    after = learner.status(20.0)
    assert after.totals == Totals() and after.activity.frame_rate_hz == 0.0
    assert after.accuracy == before.accuracy and after.accuracy_frames == 60
    assert after.recruited_neurons == before.recruited_neurons
    assert learner.learn_due(21.0) == 1  # still waited
    assert (learner.totals.classified, learner.totals.learned) == (0, 1)


def test_rates_and_power_are_of_the_last_seconds(learner):
    teach(learner, 100)
    activity = learner.status(99 / RATE_HZ).activity
    assert activity.frame_rate_hz == pytest.approx(RATE_HZ, rel=0.05)
    assert activity.learned_share == pytest.approx(1.0)
    assert activity.power_w == pytest.approx(activity.energy_j * activity.frame_rate_hz)
    learner.record_latency(0.02)
    assert learner.status(99 / RATE_HZ).activity.latency_p50_s == pytest.approx(0.02)
    assert learner.status(1000.0).activity.power_w == 0.0


# Classes: counted, forgotten, renamed.


def counts(learner) -> dict[str, int]:
    return {each.name: each.frames for each in learner.classes()}


def test_examples_of_each_class_are_counted(learner):
    assert learner.classes() == ()
    learner.add_class('cup')
    teach(learner, 20)
    learner.learn_waiting(9.0)
    assert counts(learner) == {'cup': 0} | {name: NAMES[:20].count(name) for name in NAMES[:20]}


@pytest.mark.parametrize('name, told', [('', 'class_id: empty'), ('x' * 201, 'class_id: 201 char')])
def test_what_cannot_be_a_name_is_no_class(learner, name, told):
    with pytest.raises(ValueError, match=told):
        learner.add_class(name)
    learner.add_class('cup')
    with pytest.raises(ValueError, match=f'new_{told}'):
        learner.rename_class('cup', name)
    assert counts(learner) == {'cup': 0}


def test_a_forgotten_class_is_gone_and_begins_from_nothing(learner):
    teach(learner, 60)
    learner.learn_waiting(12.0)
    changes = learner.changes
    learner.forget_class(NAMES[0])
    assert learner.changes > changes
    assert NAMES[0] not in counts(learner)
    network, names, _ = learner.snapshot()
    assert len(names) == network.classes == 9
    for frame in range(60):
        assert learner.classify(0, PIXELS[frame], 13.0).class_name != NAMES[0]
    learner.learn_waiting(13.0)
    learner.add_label(0, NAMES[0])
    learner.classify(0, PIXELS[0], 14.0)
    learner.learn_waiting(15.0)
    assert counts(learner)[NAMES[0]] == 1


def test_other_classes_keep_their_names_and_examples(learner):
    teach(learner, 60)
    learner.learn_waiting(12.0)
    before = counts(learner)
    right = [learner.classify(0, PIXELS[k], 13.0).class_name == NAMES[k] for k in range(60)]
    learner.forget_class(NAMES[0])
    assert counts(learner) == {name: n for name, n in before.items() if name != NAMES[0]}
    still = [learner.classify(0, PIXELS[k], 13.0).class_name == NAMES[k] for k in range(60)]
    assert sum(still) >= sum(r for r, name in zip(right, NAMES) if name != NAMES[0]) - 1


def test_labels_of_a_forgotten_class_that_wait_are_forgotten_too(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    learner.add_label(SECOND, 'cup')  # of a frame that waits
    learner.add_label(2 * SECOND, 'cup')  # of one to come
    learner.add_label(0, 'cup')  # of the next one
    learner.forget_class('cup')
    assert learner.classify(2 * SECOND, PIXELS[1], 0.1).label is None
    learner.learn_waiting(9.0)
    assert counts(learner) == {} and learner.totals.learned == 2


def test_a_label_that_was_under_way_does_not_bring_a_forgotten_class_back(learner):
    learner.classify(2 * SECOND, PIXELS[0], 0.0)
    learner.add_label(2 * SECOND, 'cup')
    learner.forget_class('cup')
    assert learner.add_label(2 * SECOND, 'cup') == []
    assert learner.add_label(SECOND, 'cup', 3 * SECOND) == []  # begins before it was forgotten
    assert counts(learner) == {}
    learner.classify(3 * SECOND, PIXELS[0], 1.0)
    assert learner.add_label(3 * SECOND, 'cup') == [3 * SECOND]
    assert counts(learner) == {'cup': 0}


def test_stamps_that_are_set_back_name_a_class_that_was_forgotten_before(learner):
    learner.classify(9 * SECOND, PIXELS[0], 0.0)
    learner.add_class('cup')
    learner.forget_class('cup')
    learner.classify(SECOND, PIXELS[0], 1.0)
    assert learner.add_label(SECOND, 'cup') == [SECOND]


def test_a_renamed_class_is_the_same_by_another_name(learner):
    teach(learner, 60)
    learner.learn_waiting(12.0)
    before = counts(learner)
    answers = [learner.classify(0, PIXELS[k], 13.0).class_name for k in range(60)]
    learner.rename_class(NAMES[0], 'cup')
    assert list(counts(learner).items()) == [
        ('cup' if name == NAMES[0] else name, frames) for name, frames in before.items()
    ]
    renamed = [learner.classify(0, PIXELS[k], 13.0).class_name for k in range(60)]
    assert renamed == ['cup' if name == NAMES[0] else name for name in answers]


def test_labels_follow_their_class_to_its_new_names(learner):
    learner.classify(SECOND, PIXELS[0], 0.0)
    learner.add_label(SECOND, 'cup')
    learner.add_label(2 * SECOND, 'cup')
    learner.rename_class('cup', 'mug')
    learner.rename_class('mug', 'beaker')
    assert learner.add_label(SECOND, 'cup') == [SECOND]  # was under way
    assert learner.classify(2 * SECOND, PIXELS[1], 0.1).label == 'beaker'
    learner.learn_waiting(9.0)
    assert counts(learner) == {'beaker': 2}
    learner.add_label(3 * SECOND, 'cup')  # a new class, by the old name
    assert counts(learner) == {'beaker': 2, 'cup': 0}


def test_a_prediction_by_the_old_name_is_right_by_the_new_one(learner):
    for second in range(1, 4):
        learner.classify(second * SECOND, PIXELS[0], second)
        learner.add_label(second * SECOND, 'cup')
    learner.learn_waiting(9.0)
    assert learner.classify(10 * SECOND, PIXELS[0], 10.0).class_name == 'cup'
    learner.rename_class('cup', 'mug')
    learner.add_label(10 * SECOND, 'mug')
    learner.learn_waiting(11.0)
    assert learner.status(11.0).accuracy == pytest.approx(3 / 4)  # of the first nothing was known


def test_what_cannot_be_forgotten_or_renamed_changes_nothing(learner):
    for name in ('cup', 'mug'):
        learner.add_class(name)
    with pytest.raises(ValueError, match=r"class_id: 'bus'; accepted: a class .* \('cup', 'mug'\)"):
        learner.forget_class('bus')
    with pytest.raises(ValueError, match="class_id: 'bus'; accepted: "):
        learner.rename_class('bus', 'car')
    with pytest.raises(ValueError, match="new_class_id: 'mug' is a class already; accepted: "):
        learner.rename_class('cup', 'mug')
    assert counts(learner) == {'cup': 0, 'mug': 0}


def test_of_many_classes_an_error_names_a_few(learner):
    for number in range(23):
        learner.add_class(f'thing {number}')
    with pytest.raises(ValueError, match=r"'thing 0', .*, 'thing 19' and 3 more\)$"):
        learner.forget_class('bus')


# What somebody teaches.


@pytest.mark.parametrize(
    'now_s, holds', [(9.9, False), (10.0, True), (14.9, True), (15.0, False), (0.0, False)]
)
def test_a_teaching_holds_for_its_time(now_s, holds):
    teaching = Teaching('cup', begin_s=10.0, end_s=15.0, received_from_s=1.0)
    assert teaching.holds(now_s) == teaching.names(1.0, now_s) == holds
    assert not teaching.names(0.9, now_s)  # the frame waited, and is of before
    assert replace(teaching, end_s=math.inf).holds(now_s) == (now_s >= 10.0)


# What it does not know, and asks.


def asking(per_hour: int = 100, **options) -> OnlineLearner:
    network = create_network(CONFIG)
    settings = OnlineSettings(WAIT_S, trials=TrialSettings({}), questions_per_hour=per_hour)
    timesteps = Timesteps(**{'training': 16, 'inference': 16, **options})
    return OnlineLearner(network, (), timesteps, settings, ENERGY_TABLES['loihi'])


def test_before_the_first_label_all_is_unknown(learner):
    result = learner.classify(SECOND, PIXELS[0], 0.0)
    assert math.isnan(result.confidence) and result.unknown
    assert not learner.classify(2 * SECOND, np.zeros_like(PIXELS[0]), 1.0).unknown  # nothing there


def test_what_it_has_learned_it_is_sure_of():
    learner = new_learner()
    teach(learner, 400)
    learner.learn_due(1e6)
    sure = [learner.classify(0, PIXELS[index], 1e6) for index in range(400, 500)]
    confidences = np.array([each.confidence for each in sure])
    right = np.array([each.class_name for each in sure]) == NAMES[400:500]
    assert [each.unknown for each in sure] == (confidences < 0.9).tolist()
    assert confidences[right].mean() > confidences[~right].mean() + 0.1
    assert abs(confidences.mean() - right.mean()) < 0.1
    # Nothing like a digit.
    noise = np.random.default_rng(0).integers(0, 256, (50, 64), dtype=np.uint8)
    strange = [learner.classify(0, each, 1e6).confidence for each in noise]
    assert np.mean(strange) < confidences.mean() - 0.1


def test_what_is_known_of_its_confidence_is_kept_and_forgotten_with_the_weights(tmp_path):
    learner = new_learner()
    teach(learner, 100)
    learner.learn_due(1e6)
    expected = learner.classify(0, PIXELS[100], 1e6).confidence
    save_checkpoint(tmp_path / 'weights', *learner.snapshot())
    other = new_learner()
    other.replace_network(*load_checkpoint(tmp_path / 'weights'))
    assert other.classify(0, PIXELS[100], 0.0).confidence == expected
    network, names, _ = learner.snapshot()
    other.replace_network(network, names)
    assert other.classify(0, PIXELS[100], 0.0).confidence != expected


def test_an_answer_that_comes_much_later_still_teaches():
    learner = asking()
    assert learner.classify(SECOND, PIXELS[0], 0.0).asked
    for second in range(2, 22):
        learner.classify(second * SECOND, PIXELS[second], second - 1.0)
    assert learner.add_label(SECOND, NAMES[0]) == [SECOND]
    assert knows(learner, 0)
    totals = learner.totals
    assert (totals.labels, totals.labels_late, totals.labels_unmatched) == (1, 0, 0)
    assert totals.answers == 1 <= totals.questions
    assert learner.status(1e6).accuracy_frames == 1
    learner.add_label(SECOND, NAMES[0])  # once only
    assert learner.totals.answers == 1
    assert learner.totals.labels_unmatched == 1


def test_an_answer_in_time_is_a_label_like_any_other():
    learner = asking()
    assert learner.classify(SECOND, PIXELS[0], 0.0).asked
    learner.add_label(SECOND, NAMES[0])
    assert knows(learner, 0)
    totals = learner.totals
    assert (totals.questions, totals.answers, totals.learned) == (1, 1, 1)


def test_only_so_many_questions_stay_open():
    learner = asking(per_hour=3600)
    asked = [
        second
        for second in range(1, 600, 10)
        if learner.classify(second * SECOND, PIXELS[second], float(second)).asked
    ]
    learner.learn_due(1e6)
    assert len(asked) > MAX_OPEN
    learner.add_label(asked[0] * SECOND, NAMES[0])
    assert learner.totals.labels_unmatched == 1
    learner.add_label(asked[-1] * SECOND, NAMES[asked[-1]])
    assert learner.totals.answers == 1


def test_a_frame_that_has_its_label_is_not_asked_about():
    learner = asking()
    learner.add_label(SECOND, NAMES[0])
    assert not learner.classify(SECOND, PIXELS[0], 0.0).asked


def test_nothing_is_asked_where_nothing_is_learned_or_seen():
    assert not asking(learning_share=0.0).classify(SECOND, PIXELS[0], 0.0).asked
    assert not asking().classify(SECOND, np.zeros_like(PIXELS[0]), 0.0).asked


def test_open_questions_go_with_the_network():
    learner = asking()
    assert learner.classify(SECOND, PIXELS[0], 0.0).asked
    learner.learn_due(1e6)
    learner.replace_network(create_network(CONFIG), ())
    learner.add_label(SECOND, NAMES[0])
    learner.drop_labels()
    assert learner.totals.labels_unmatched == 1
