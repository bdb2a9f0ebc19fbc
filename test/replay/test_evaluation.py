"""Evaluations: they are the pipeline of the nodes, to the last digit, whatever the bag is like."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from filter_files import write_filters
from onnx_models import filters, write_encoder

from topspark_ros.engine import create_network, load_checkpoint
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import camera_image, stamp_ns
from topspark_ros.perception.online import OnlineLearner
from topspark_ros.perception.parameters import ParameterError
from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.fleet import BagRun, evaluate_bags
from topspark_ros.replay.recording import (
    BATTERY,
    BUDGET,
    EVENTS,
    IMAGE,
    LABEL,
    START_NS,
    RecordingSettings,
    record,
)
from topspark_ros.replay.report import write_report
from topspark_ros.replay.results import FRAMES, NONE, STATUS
from topspark_ros.replay.settings import EvaluationError, EvaluationSettings
from topspark_ros.replay.topics import TopicNames
from topspark_ros.streams.bags import Bag, BagError
from topspark_ros.streams.objects import centre_object

PROFILE = str(Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml')
LEARNER = SnnLearnerParameters(
    rule='recruiting', neurons=100, training_timesteps=16, inference_timesteps=16
)
FIXED = EvaluationSettings('T = 16', LEARNER)
CONTROLLED = EvaluationSettings(
    'controller',
    replace(LEARNER, profile_file=PROFILE),
    TimestepControllerParameters(profile_file=PROFILE),
)
STRING = 'std_msgs/msg/String'


def messages(bag: Path, topic: str) -> list:
    with Bag(bag, typestore()) as opened:
        wanted = [each for each in opened.topics if each.name == topic]
        return [opened.deserialize(recorded) for recorded in opened.messages(wanted)]


def true_labels(bag: Path) -> dict[int, str]:
    return {stamp_ns(label.header.stamp): label.class_id for label in messages(bag, LABEL.name)}


def names(run, column: str) -> list[str | None]:
    return [None if index == NONE else run.class_names[index] for index in run.frames[column]]


def same(first, second) -> bool:
    """To the last bit, but for took_s."""
    for field in fields(first):
        a, b = (getattr(run, field.name) for run in (first, second))
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif field.name != 'took_s' and repr(a) != repr(b):
            return False
    return True


@pytest.fixture(scope='module')
def fixed(digits_bag):
    return evaluate(digits_bag, FIXED)


@pytest.fixture(scope='module')
def controlled(digits_bag):
    return evaluate(digits_bag, CONTROLLED)


# What it is.


def test_each_frame_is_a_row_with_its_label(fixed, digits_bag):
    truth = true_labels(digits_bag)
    frames = fixed.frames
    assert frames.dtype == FRAMES and len(frames) == 150 and frames['taken'].all()
    stamps = START_NS + np.arange(150) * 100_000_000
    np.testing.assert_array_equal(frames['stamp_ns'], stamps)
    np.testing.assert_allclose(frames['time_s'], np.arange(150) / 10)
    assert names(fixed, 'label') == [truth.get(stamp) for stamp in stamps.tolist()]
    assert (frames['timesteps'] == 16).all() and frames['learning'].all()
    assert fixed.counts['labels'] == len(truth) and fixed.counts['labels of no frame'] == 0
    assert fixed.lost == () and fixed.decisions == ()
    assert fixed.counts['learned'] == fixed.counts['classified'] == 150


def test_it_is_what_a_learner_does_that_is_handed_the_frames(fixed, digits_bag):
    truth = true_labels(digits_bag)
    learner = OnlineLearner(
        create_network(LEARNER.network_config()),
        (),
        LEARNER.timesteps(),
        LEARNER.online_settings({}),
        ENERGY_TABLES[LEARNER.energy_model],
    )
    rows = []
    for number, image in enumerate(messages(digits_bag, IMAGE.name)):
        stamp, now_s = stamp_ns(image.header.stamp), number / 10
        learner.learn_due(now_s)  # a frame without a label, after label_wait
        result = learner.classify(stamp, centre_object(camera_image(image, 0).gray()), now_s)
        rows.append((result.class_name, np.float32(result.score), result.energy_j))
        if stamp in truth:
            learner.add_label(stamp, truth[stamp])
            learner.learn_due(now_s)
    learner.learn_due(math.inf)
    expected_names, scores, energies = zip(*rows)
    assert names(fixed, 'predicted') == list(expected_names)
    np.testing.assert_array_equal(fixed.frames['score'], np.array(scores))
    np.testing.assert_array_equal(fixed.frames['energy_j'], energies)
    network, class_names, _ = learner.snapshot()
    assert fixed.class_names == class_names
    assert fixed.status['energy_j'][-1] == learner.totals.energy_j
    assert sorted(map(bytes, fixed.receptive_fields)) == sorted(
        map(bytes, network.receptive_fields())
    )


def test_the_discriminant_is_evaluated_as_any_rule(digits_bag, fixed):
    """Its profile is of another network: the controller goes by what the learner reports."""
    parameters = replace(CONTROLLED.learner, rule='discriminant', picture_side=32)
    run = evaluate(digits_bag, replace(CONTROLLED, learner=parameters))
    right = [run.frames['predicted'] == run.frames['label'] for run in (run, fixed)]
    labelled = fixed.frames['label'] != NONE
    assert right[0][labelled].mean() > right[1][labelled].mean()
    assert len(run.decisions) >= 1
    assert run.receptive_fields.shape == (64, 25)


def test_a_layer_on_features_is_evaluated_as_any_rule(digits_bag, fixed):
    """Features see more than pixels do, and their operations are in the energy of each frame."""
    learner = replace(LEARNER, encoder='features', picture_side=32, picture_colour=False)
    run = evaluate(digits_bag, EvaluationSettings('features', learner))
    labelled = fixed.frames['label'] != NONE
    right = [each.frames['predicted'] == each.frames['label'] for each in (run, fixed)]
    assert right[0][labelled].mean() > right[1][labelled].mean() - 0.05
    assert np.nanmedian(run.frames['energy_j']) > 5 * np.nanmedian(fixed.frames['energy_j'])
    few = evaluate(digits_bag, EvaluationSettings('few', replace(learner, inference_timesteps=1)))
    assert np.nanmedian(few.frames['energy_j']) < 0.2 * np.nanmedian(run.frames['energy_j'])
    assert run.receptive_fields.shape == (0, 864)


def test_a_layer_on_features_sees_windows_of_events(events_bag):
    """As pictures of 32 x 32."""
    learner = replace(LEARNER, encoder='features')
    run = evaluate(events_bag, EvaluationSettings('features', learner, kind='events'))
    assert run.settings['input'] == 'events'
    seen = run.frames['predicted'] != NONE
    assert seen[10:].mean() > 0.9
    # Potentials of filters alone, at every step: 64 of 28 x 28 places, 32 of 14 x 14.
    table = ENERGY_TABLES['loihi']
    least_j = 16 * (64 * 28**2 + 32 * 14**2) * table.neuron_update_j
    assert (run.frames['energy_j'][seen] > least_j).all()


def test_filters_of_a_file_are_what_is_evaluated(events_bag, tmp_path):
    """And saved with what was learned by them."""
    own = write_filters(tmp_path / 'own.npz')
    learner = SnnLearnerParameters(filters_file=str(tmp_path / 'own.npz'))
    weights = tmp_path / 'own.ckpt'
    run = evaluate(events_bag, EvaluationSettings('own', learner, save_weights=weights))
    assert (run.frames['predicted'] != NONE).mean() > 0.9
    state = load_checkpoint(weights).network.state()
    assert np.array_equal(state['edge_filters'], own['grey_edges'])
    bad = replace(learner, filters_file=str(weights))
    with pytest.raises(ParameterError, match=f'^filters_file: {weights}: .* accepted is an .npz'):
        evaluate(events_bag, EvaluationSettings('bad', bad))


@pytest.mark.parametrize('rule', ['recruiting', 'pairwise'])
def test_any_rule_learns_on_an_encoder(digits_bag, tmp_path, rule):
    path = write_encoder(tmp_path / 'tiny.onnx', filters(32), 64)
    learner = replace(LEARNER, rule=rule, encoder=str(path))
    run = evaluate(digits_bag, EvaluationSettings(rule, learner))
    encoder_j = Encoder(str(path)).energy_j(ENERGY_TABLES['loihi'])
    assert (run.frames['energy_j'] > encoder_j).all()
    assert len(run.class_names) == 10 and (run.frames['predicted'] != NONE).mean() > 0.9
    # Two squares, would they be pixels.
    assert run.receptive_fields.shape == (0, 32)


def test_an_encoder_is_evaluated_as_the_node_has_it(digits_bag, tmp_path):
    """Its energy counts for the controller, which can save it by fewer frames alone."""
    path = write_encoder(tmp_path / 'tiny.onnx', filters(32), 64)
    parameters = replace(CONTROLLED.learner, rule='discriminant', encoder=str(path))
    run = evaluate(digits_bag, replace(CONTROLLED, learner=parameters))
    encoder_j = Encoder(str(path)).energy_j(ENERGY_TABLES['loihi'])
    assert encoder_j > 2e-6 / 10  # a second, of 10 frames, takes more than the limit lets it
    taken = run.frames['taken']
    assert (run.frames['energy_j'][taken] > encoder_j).all()
    limited = (run.frames['time_s'] > 7.0) & (run.frames['time_s'] < 12.0)
    assert taken[limited].mean() < 0.5
    assert run.receptive_fields.shape == (0, 32)
    write_report(tmp_path / 'report', [run])
    assert not (tmp_path / 'report' / 'receptive_fields.png').exists()


def test_accuracy_of_the_rows_is_that_of_the_learner(fixed):
    frames = fixed.frames[fixed.frames['label'] != NONE]
    right = frames['predicted'] == frames['label']
    assert len(right) < LEARNER.accuracy_window
    assert fixed.status['accuracy'][-1] == right.mean() > 0.3
    assert fixed.status.dtype == STATUS


def test_the_status_comes_in_its_period(digits_bag, fixed):
    times_s = fixed.status['time_s']
    np.testing.assert_allclose(times_s[:-1], 0.5 * np.arange(1, len(times_s)))
    assert times_s[-1] >= fixed.frames['time_s'][-1]
    assert (np.diff(fixed.status['energy_j']) > 0).all()
    slow = evaluate(digits_bag, replace(FIXED, learner=replace(LEARNER, status_period=4.0)))
    np.testing.assert_allclose(slow.status['time_s'][:-1], [4.0, 8.0, 12.0])
    assert slow.frames.tobytes() == fixed.frames.tobytes()


def test_neurons_with_most_experience_come_first(digits_bag, fixed, tmp_path):
    evaluate(digits_bag, replace(FIXED, save_weights=tmp_path / 'weights'))
    network = load_checkpoint(tmp_path / 'weights').network
    used = network.state()['attractions'][: network.recruited_neurons]
    fields_of = network.receptive_fields()
    assert used.max() > used.min()
    np.testing.assert_array_equal(fixed.receptive_fields[0], fields_of[used.argmax()])
    assert used[(fields_of == fixed.receptive_fields[-1]).all(axis=1).argmax()] == used.min()


# Repeatable.


def test_the_same_again_to_the_last_digit(digits_bag, fixed, controlled):
    assert same(evaluate(digits_bag, FIXED), fixed)
    assert same(evaluate(digits_bag, CONTROLLED), controlled)
    other = evaluate(digits_bag, replace(FIXED, learner=replace(LEARNER, seed=1)))
    assert not same(other, fixed)


def test_other_processes_give_the_same(digits_bag, fixed, controlled, tmp_path):
    work = [BagRun(digits_bag, settings) for settings in (FIXED, CONTROLLED)]
    runs, rejected = evaluate_bags(work, tmp_path, jobs=2)
    assert not rejected
    assert [same(*pair) for pair in zip(runs.values(), (fixed, controlled))] == [True, True]


def test_progress_is_the_share_of_the_time_that_is_over(digits_bag):
    done = []
    evaluate(digits_bag, replace(FIXED, duration_s=1.0), done.append)
    np.testing.assert_allclose(done, np.arange(10) / 10)


# Modes.


def test_a_pair_of_timesteps(digits_bag):
    run = evaluate(
        digits_bag,
        replace(
            FIXED,
            duration_s=3.0,
            learner=replace(LEARNER, training_timesteps=32, inference_timesteps=4),
        ),
    )
    assert set(run.frames['timesteps']) == {4}
    assert set(run.status['training_timesteps']) == {32}
    assert set(run.status['inference_timesteps']) == {4}


def test_the_controller_decides_by_battery_and_budget(controlled):
    decisions, frames = controlled.decisions, controlled.frames
    assert decisions[0].time_s == 0.5 and decisions[0].reason == 'SCORE'
    (limited,) = (each for each in decisions if each.time_s == 6.0)
    assert limited.reason == 'POWER' and '2e-06 W' in limited.detail
    assert any(each.time_s == 12.05 for each in decisions)  # at once, not at the next look
    assert [each.sequence for each in decisions] == list(range(1, len(decisions) + 1))
    for time_s, timesteps in zip(frames['time_s'], frames['timesteps']):
        in_force = [each for each in decisions if each.time_s <= time_s]
        assert not timesteps or timesteps == (
            in_force[-1].inference_timesteps if in_force else 16
        ), time_s

    status = controlled.status
    limit = status['power_limit_w']
    before, during, after = (
        (status['time_s'] < 6),
        (status['time_s'] > 6) & (status['time_s'] < 12),
        status['time_s'] > 12.05,
    )
    assert np.isnan(limit[before | after]).all() and (limit[during] == 2e-6).all()
    charge = status['state_of_charge']
    assert charge[0] == pytest.approx(0.9) and charge[-1] == pytest.approx(0.85, abs=0.01)
    # T is the smallest that there is without a limit: fewer frames are learned, or processed.
    effort = status['learning_share'] + status['frame_share']
    assert (effort[during] < effort[before][-1]).all()
    assert controlled.counts['budgets'] == 2 and controlled.counts['battery states'] == 15


def test_a_share_of_the_frames_is_skipped(digits_bag, rewritten):
    def strict(time_ns, topic, message):
        if topic == BUDGET.name:
            message = replace(message, power=2e-7)
        yield time_ns, topic, message.__msgtype__, message

    run = evaluate(rewritten(digits_bag, strict), CONTROLLED)
    left_out = run.frames[~run.frames['taken']]
    assert 0 < len(left_out) == run.counts['skipped'] < 150
    assert run.counts['classified'] + len(left_out) == 150
    assert not left_out['timesteps'].any() and not left_out['energy_j'].any()
    assert (left_out['label'] == NONE).all() and (left_out['predicted'] == NONE).all()
    assert run.status['frame_share'].min() < 1.0


def test_without_learning_weights_stay_as_they_were(digits_bag):
    inferring = replace(LEARNER, learning=False)
    run = evaluate(digits_bag, replace(FIXED, learner=inferring))
    assert not run.frames['learning'].any() and run.counts['learned'] == 0
    assert run.status['recruited_neurons'].max() == 0 and run.receptive_fields.shape == (0, 784)
    controlled = evaluate(
        digits_bag, replace(CONTROLLED, learner=replace(inferring, profile_file=PROFILE))
    )
    assert not controlled.status['learning_share'].any() and controlled.decisions


def test_a_bag_in_two_halves_is_the_bag(digits_bag, fixed, tmp_path):
    weights = tmp_path / 'weights'
    first = evaluate(digits_bag, replace(FIXED, duration_s=7.4, save_weights=weights))
    second = evaluate(digits_bag, replace(FIXED, start_s=7.4, weights=weights))
    assert (len(first.frames), len(second.frames)) == (74, 76)
    assert first.bag_s + second.bag_s == pytest.approx(fixed.bag_s)
    together = [*names(first, 'predicted'), *names(second, 'predicted')]
    assert together == names(fixed, 'predicted')
    np.testing.assert_array_equal(second.frames['time_s'], fixed.frames['time_s'][74:])


def test_budgets_are_latched(digits_bag):
    late = evaluate(digits_bag, replace(CONTROLLED, start_s=9.0, duration_s=2.0))
    assert late.counts['budgets'] == 1 and late.decisions[0].reason == 'POWER'
    assert set(late.status['power_limit_w']) == {2e-6}


def test_a_latched_budget_without_a_stamp_has_been_there_since_it_was_recorded(
    digits_bag, rewritten
):
    def unstamped(time_ns, topic, message):
        recorded_s = (time_ns - START_NS) * 1e-9
        if topic == BUDGET.name and recorded_s < 9.0:
            header = replace(message.header, stamp=replace(message.header.stamp, sec=0, nanosec=0))
            message = replace(message, header=header, lifetime=9.75 - recorded_s)
        yield time_ns, topic, message.__msgtype__, message

    late = evaluate(
        rewritten(digits_bag, unstamped), replace(CONTROLLED, start_s=9.0, duration_s=2.0)
    )
    lapsed = np.isnan(late.status['power_limit_w'])
    np.testing.assert_array_equal(lapsed, late.status['time_s'] > 9.8)
    assert 0 < lapsed.sum() < len(lapsed)


# Labels.


def test_a_label_that_does_not_come_is_waited_for(digits_bag, rewritten):
    def one_in_five_seconds(time_ns, topic, message):
        second = (time_ns - START_NS) / 1e9
        if topic == IMAGE.name and second % 5 == 0:
            yield time_ns, topic, message.__msgtype__, message

    bag = rewritten(digits_bag, one_in_five_seconds)
    waits = replace(LEARNER, label_wait=0.7, status_period=0.1)
    status = evaluate(bag, replace(FIXED, learner=waits)).status
    changes = status['time_s'][1:][np.diff(status['energy_j']) > 0]
    np.testing.assert_allclose(changes, [1.2, 5.1, 6.2, 11.2])  # learned, classified, ...
    assert status['recruited_neurons'][-1] == 3  # the last one too


def write_table(path, truth) -> Path:
    path.write_text('stamp,class_id\n' + ''.join(f'{stamp},{name}\n' for stamp, name in truth))
    return path


@pytest.mark.parametrize('text', ['{}', '{:.9f}'])
def test_labels_of_a_table(digits_bag, fixed, tmp_path, text):
    truth = true_labels(digits_bag)
    table = write_table(
        tmp_path / 'labels.csv',
        [
            (f'{stamp}' if text == '{}' else f'{stamp // 10**9}.{stamp % 10**9:09d}', name)
            for stamp, name in reversed(truth.items())
        ]
        + [(12345, next(iter(truth.values())))],
    )
    run = evaluate(digits_bag, replace(FIXED, labels=table))
    assert names(run, 'label') == names(fixed, 'label')
    assert names(run, 'predicted') == names(fixed, 'predicted')
    assert run.counts['labels'] == len(truth) + 1 and run.counts['labels of no frame'] == 1


def test_a_span_in_a_table_names_all_frames_within(digits_bag, tmp_path):
    table = tmp_path / 'labels.csv'
    begin, third, last = (START_NS + number * 100_000_000 for number in (0, 3, 149))
    table.write_text(
        f'stamp,until,class_id\n{begin},{third // 10**9}.{third % 10**9:09d},few\n'
        f'{last},,one\n{last - 200_000_000},0,another\n'
    )
    run = evaluate(digits_bag, replace(FIXED, labels=table))
    assert names(run, 'label') == ['few'] * 4 + [None] * 143 + ['another', None, 'one']
    assert run.counts['labels'] == 3 and run.counts['labels of no frame'] == 0


@pytest.mark.parametrize(
    'content, complaint',
    [
        (
            'stamp,class_id,until\n2.5,cup,1.5\n',
            "line 2: until is '1.5', accepted is a time from stamp "
            'on, seconds with a decimal point, or whole nanoseconds, above 0, or nothing',
        ),
        (
            'stamp,class_id,until\n2.5,cup,later\n',
            "line 2: until is 'later', accepted is a time from "
            'stamp on, seconds with a decimal point, or whole nanoseconds, above 0, or nothing',
        ),
        ('1.5,cup\n', 'line 1: columns are 1.5,cup, accepted is a header with stamp,class_id'),
        ('', 'line 1: columns are none, accepted is a header with stamp,class_id'),
        ('stamp,class_id\n', '0 labels, accepted is 1 or more'),
        (
            'stamp,class_id\n1.5,cup\nsoon,cup\n',
            "line 3: stamp is 'soon', accepted is seconds with a "
            'decimal point, or whole nanoseconds, above 0',
        ),
        (
            'stamp,class_id\n-1.5,cup\n',
            "line 2: stamp is '-1.5', accepted is seconds with a decimal "
            'point, or whole nanoseconds, above 0',
        ),
        ('stamp,class_id\n1.5\n', 'line 2: class_id is empty, accepted is any name that is not'),
    ],
)
def test_a_table_that_is_none_is_rejected(digits_bag, tmp_path, content, complaint):
    table = tmp_path / 'labels.csv'
    table.write_text(content)
    with pytest.raises(ValueError) as error:
        evaluate(digits_bag, replace(FIXED, labels=table))
    assert str(error.value) == f'{table}: {complaint}'


def test_a_text_names_the_next_frame(digits_bag, fixed, rewritten):
    truth = true_labels(digits_bag)
    text = typestore().types[STRING]

    def said_before(time_ns, topic, message):
        if topic == IMAGE.name and (stamp := stamp_ns(message.header.stamp)) in truth:
            yield time_ns - 50_000_000, '/said', STRING, text(data=truth[stamp])
        if topic == IMAGE.name:
            yield time_ns, topic, message.__msgtype__, message

    bag = rewritten(digits_bag, said_before)
    run = evaluate(bag, replace(FIXED, topics=TopicNames(label='/said')))
    assert names(run, 'label') == names(fixed, 'label')
    assert names(run, 'predicted') == names(fixed, 'predicted')
    unnamed = evaluate(bag, FIXED)  # no text is taken for a label by itself
    assert (unnamed.frames['label'] == NONE).all()


# Events and compressed images.


def test_windows_of_events(events_bag):
    learner = replace(LEARNER, label_wait=1.0, event_window=0.08, event_min_count=20)
    run = evaluate(events_bag, replace(FIXED, learner=learner))
    assert run.settings['input'] == 'events' and run.counts['events: packets'] == 300
    assert 60 < run.counts['frames'] == len(run.frames) <= 75
    # Of the 0.38 s from an image's first to its last frame, windows within: those teach.
    labels = np.array(names(run, 'label'), object)
    for begin, name in true_labels(events_bag).items():
        ends = run.frames['stamp_ns'] - begin
        within = (ends > 110_000_000) & (ends < 380_000_000)
        assert within.sum() >= 2 and set(labels[within]) == {name}
        assert set(labels[(ends > 0) & (ends < 60_000_000)]) <= {None}
    assert run.counts['labels'] == 15 and run.counts['labels of no frame'] == 0
    assert run.counts['labels too late'] == 0
    assert same(run, evaluate(events_bag, replace(FIXED, learner=learner)))
    assert run.lost == ()


def test_padding_and_packets_without_a_size_change_no_window_and_are_said(events_bag, rewritten):
    learner = replace(LEARNER, event_window=0.16, event_min_count=20)

    def damaged(time_ns, topic, message):
        if topic == EVENTS.name:
            words = message.events.view(np.uint16)
            padded = np.insert(words, np.arange(0, words.size, 50), 0xB000).view(np.uint8)
            for size in ((0, 0), (2**32 - 1, 1), (65535, 65535)) if message.seq == 7 else ():
                nothing = replace(message, width=size[0], height=size[1])
                yield time_ns, topic, message.__msgtype__, nothing
            message = replace(message, events=padded)
        yield time_ns, topic, message.__msgtype__, message

    run = evaluate(rewritten(events_bag, damaged), replace(FIXED, learner=learner))
    whole = evaluate(events_bag, replace(FIXED, learner=learner))
    for field in ('stamp_ns', 'predicted', 'label', 'energy_j'):
        np.testing.assert_array_equal(run.frames[field], whole.frames[field])
    unknown = run.counts['events: unknown words']
    assert unknown > 300 and run.counts['events: events'] == whole.counts['events: events']
    assert run.lost == (
        f'{EVENTS.name}: width is 0, accepted is 1 to 65535 pixels (rejected 3 times)',
        f'{EVENTS.name}: {unknown:,} of {run.counts["events: words"]:,} words of events are '
        'unknown',
    )


def test_compressed_images(tmp_path, fixed):
    record(
        tmp_path / 'bag',
        RecordingSettings(width=96, height=72, rate_hz=10, frames=60, images='compressed'),
    )
    run = evaluate(tmp_path / 'bag', FIXED)
    assert run.settings['input'] == 'compressed'
    assert (run.frames['label'] != NONE).sum() > 20
    # JPEG changes pixels a little.
    agreeing = run.frames['predicted'] == fixed.frames['predicted'][:60]
    assert len(run.frames) == 60 and agreeing.mean() > 0.7


# What is bad.


def test_bad_messages_are_told_once_and_the_rest_goes_on(digits_bag, rewritten):
    def spoil(time_ns, topic, message):
        number = (time_ns - START_NS) // 100_000_000
        kind = message.__msgtype__
        if topic == IMAGE.name and number in (3, 5, 7):
            message = replace(message, encoding='32FC1')
        if topic == IMAGE.name and number == 10:
            message = replace(message, step=1)
        if topic == BATTERY.name and number == 20:
            message = replace(message, percentage=40.0)
        if topic == BUDGET.name:
            message = replace(message, power=-1.0)
        if topic == LABEL.name and number < 10:
            message = replace(message, class_id=' ')
        yield time_ns, topic, kind, b'\x00\x01' if topic == IMAGE.name and number == 12 else message

    run = evaluate(rewritten(digits_bag, spoil), CONTROLLED)
    assert run.counts['rejected frames'] == 4 and len(run.frames) == 145
    told = {line.split(':')[0]: line for line in run.lost}
    images = [line for line in run.lost if line.startswith('/image: ')]
    assert len(images) == 3
    assert images[0].startswith(
        "/image: encoding is '32FC1' (depth by REP 118, no brightness), accepted is one of mono8"
    )
    assert images[0].endswith(' (rejected 3 times)')
    assert images[1].startswith('/image: step is 1 bytes')
    assert images[2].startswith('/image: data is 2 bytes that are no sensor_msgs/msg/Image')
    assert 'percentage: 40' in told['/battery_state']
    assert told['/power_budget'] == (
        '/power_budget: power is -1.0, accepted is a finite number '
        'from 0, or NaN for no limit (rejected 2 times)'
    )
    assert 'class_id: empty' in told['/label']
    assert np.isnan(run.status['power_limit_w']).all()


def test_of_a_damaged_bag_the_rest_is_evaluated(digits_bag, fixed, tmp_path):
    (file,) = digits_bag.glob('*.mcap')
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    run = evaluate(cut, FIXED)
    frames = len(run.frames)
    assert 50 < frames < 150 and len(run.lost) == 1 and run.lost[0].startswith('cut.mcap: damaged')
    assert names(run, 'predicted')[:-1] == names(fixed, 'predicted')[: frames - 1]


def rejection(bag, settings=FIXED) -> str:
    with pytest.raises(ValueError) as error:
        evaluate(bag, settings)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_topics_are_found_by_type_or_named(digits_bag, rewritten):
    def twice(time_ns, topic, message):
        yield time_ns, topic, message.__msgtype__, message
        if topic in (IMAGE.name, LABEL.name):
            yield time_ns, f'/left{topic}', message.__msgtype__, message

    bag = rewritten(digits_bag, twice)
    there = (
        'the bag holds /battery_state (sensor_msgs/msg/BatteryState), /image '
        '(sensor_msgs/msg/Image), /label (topspark_ros/msg/Label), /left/image '
        '(sensor_msgs/msg/Image), /left/label (topspark_ros/msg/Label), /power_budget '
        '(topspark_ros/msg/PowerBudget)'
    )
    assert rejection(bag) == (
        f'{bag}: topic may be /image, /left/image, accepted is one of them by name; {there}'
    )
    assert rejection(bag, replace(FIXED, topics=TopicNames('/left/image'))) == (
        f'{bag}: label topic may be /label, /left/label, accepted is one of them by name; {there}'
    )
    assert rejection(bag, replace(FIXED, topics=TopicNames('/label'))).startswith(
        f"{bag}: topic is '/label', accepted is one with sensor_msgs/msg/Image, "
    )
    assert rejection(bag, replace(FIXED, topics=TopicNames('/none'))).endswith(there)
    assert rejection(bag, replace(FIXED, kind='events')).startswith(
        f'{bag}: no topic to classify, accepted is one with event_camera_msgs/msg/EventPacket'
    )
    left = evaluate(
        bag, replace(FIXED, duration_s=2.0, topics=TopicNames('/left/image', '/left/label'))
    )
    assert len(left.frames) == 20 and (left.frames['label'] != NONE).any()


def test_an_input_without_messages_is_rejected(digits_bag, rewritten):
    def labels(time_ns, topic, message):
        if topic == LABEL.name:
            yield time_ns, topic, message.__msgtype__, message

    with pytest.raises(BagError, match='no topic to classify, .* the bag holds /label'):
        evaluate(rewritten(digits_bag, labels), FIXED)


@pytest.mark.parametrize(
    'times, complaint',
    [
        (dict(start_s=-1.0), 'start is -1 s, accepted is 0 or more'),
        (dict(start_s=math.nan), 'start is nan s, accepted is 0 or more'),
        (dict(duration_s=0.0), 'duration is 0 s, accepted is above 0'),
        (dict(start_s=99.0), '{bag}: start is 99 s, accepted is 0 to 14.9'),
    ],
)
def test_times_that_are_none_are_rejected(digits_bag, times, complaint):
    with pytest.raises(EvaluationError) as error:
        evaluate(digits_bag, replace(FIXED, **times))
    assert str(error.value).startswith(complaint.format(bag=digits_bag))


def test_settings_are_told_as_plain_values(controlled, digits_bag):
    told = controlled.settings
    assert told['bag'] == str(digits_bag) and told['topic'] == '/image'
    assert told['labels'] == '/label' and told['neurons'] == 100
    assert told['controller.min_dwell'] == 2.0 and told['energy_model'] == 'loihi'
    assert {type(value) for value in told.values()} <= {str, int, float, bool, list}
    assert 'queue_depth' not in told and EVENTS.name not in told.values()
