"""`topspark evaluate`: a report of a bag, a comparison of two, one line for what is rejected."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from html_reports import self_contained
from rosbags.rosbag2 import Writer

from topspark_ros.cli.main import main
from topspark_ros.engine import load_checkpoint
from topspark_ros.replay.archive import read_runs
from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.recording import RecordingSettings, record
from topspark_ros.streams.bags import Bag

PROFILE = Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml'


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('bags') / 'digits'
    record(
        path, RecordingSettings(width=96, height=72, rate_hz=10, frames=40, budget=((2.0, 1e-6),))
    )
    return path


@pytest.fixture
def config(tmp_path):
    """The nodes' parameters, small."""
    path = tmp_path / 'small.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                '/**/snn_learner': {
                    'ros__parameters': {
                        'rule': 'recruiting',
                        'neurons': 30,
                        'training_timesteps': 8,
                        'inference_timesteps': 8,
                        'autostart': False,
                    }
                },
                '/**/timestep_controller': {'ros__parameters': {'deadband': 0.25}},
            }
        )
    )
    return path


@pytest.fixture
def evaluate(monkeypatch, capsys, tmp_path):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['topspark', 'evaluate', *map(str, arguments)])
        return main(), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '80')
    return run


def rows(printed: str) -> dict[str, list[str]]:
    cells = (
        [cell.strip() for cell in line.strip('│').split('│')]
        for line in printed.splitlines()
        if line.startswith('│')
    )
    return {name: rest for name, *rest in cells}


def test_a_report_of_one_run(evaluate, bag, config, tmp_path):
    code, printed, error = evaluate(bag, '--config', config, '--seed', 4)
    assert (code, error) == (0, '')
    assert rows(printed)['T = 8'][0] == '40'
    assert printed.splitlines()[-1] == 'results/evaluation/report.html written'
    assert 'lost' not in printed
    report = self_contained(tmp_path / 'results' / 'evaluation' / 'report.html')
    assert 'Accuracy over time' in report.pictures()
    (run,) = read_runs(tmp_path / 'results' / 'evaluation')
    assert run.settings['seed'] == 4 and run.settings['neurons'] == 30
    assert set(run.frames['timesteps']) == {8} and run.counts['classified'] == 40
    assert 0 < run.neurobench.Effective_ACs < run.neurobench.Dense
    assert set(run.neurobench.shown()) | set(run.neurobench.shown().values()) <= set(report.texts)


def test_a_sweep_with_the_controller(evaluate, bag, config, tmp_path):
    code, printed, error = evaluate(
        bag,
        '--config',
        config,
        '--timesteps',
        '2,16/4',
        '--controller',
        '--profile',
        PROFILE,
        '--output',
        tmp_path / 'report',
        '--jobs',
        2,
    )
    assert code == 0
    assert 'measured with neurons 400, this network has 30' in error and error.count('\n') == 1
    assert list(rows(printed)) == ['T = 2', 'T = 16/4', 'controller']
    two, pair, controlled = read_runs(tmp_path / 'report')
    assert set(two.frames['timesteps']) == {2} and set(pair.frames['timesteps']) == {4}
    assert set(pair.status['training_timesteps']) == {16} and not pair.decisions
    assert controlled.decisions and controlled.settings['controller.deadband'] == 0.25
    assert controlled.settings['controller.profile_file'] == str(PROFILE)
    assert controlled.status['power_limit_w'][-1] == 1e-6


def test_the_shipped_profile_is_of_the_kind_of_camera(evaluate, bag, tmp_path):
    pytest.importorskip('rclpy', reason='profiles are shipped with the ROS package')
    events = tmp_path / 'events'
    settings = RecordingSettings(width=96, height=72, rate_hz=50, frames=60, frames_per_image=20)
    record(events, replace(settings, images='none', events=True, label_share=1.0))
    for recorded, name in ((bag, 'digits'), (events, 'events')):
        code, _, error = evaluate(recorded, '--controller', '--duration', 2)
        assert (code, error) == (0, '')  # as the learner's network, without a mismatch
        (run,) = read_runs(tmp_path / 'results' / 'evaluation')
        for settings in 'profile_file', 'controller.profile_file':
            assert run.settings[settings].endswith(f'/config/profile_{name}.yaml')


def test_a_named_topic_counts_more_than_the_input_of_the_parameters(evaluate, bag, tmp_path):
    events = tmp_path / 'events.yaml'
    events.write_text(
        'snn_learner: {ros__parameters: {input: events, rule: recruiting, neurons: 30}}'
    )
    code, _, error = evaluate(bag, '--config', events)
    assert code == 2 and 'no topic to classify, accepted is one with event_camera_msgs' in error
    assert evaluate(bag, '--config', events, '--topic', '/image', '--duration', 1)[0] == 0


def test_weights_go_on(evaluate, bag, config, tmp_path):
    arguments = (bag, '--config', config)
    weights = tmp_path / 'half.topspark'
    assert evaluate(*arguments, '--duration', 2, '--save-weights', weights)[0] == 0
    network, class_names, _ = load_checkpoint(weights)
    assert network.recruited_neurons > 5 and class_names
    (half,) = read_runs(tmp_path / 'results' / 'evaluation')
    weights_in_use = network.state()['weights'][:, : network.recruited_neurons]
    assert half.neurobench.footprint == network.memory_bytes
    assert half.neurobench.connection_sparsity == np.mean(weights_in_use == 0) > 0
    assert half.neurobench.Dense == 8 * weights_in_use.size
    assert (
        evaluate(
            *arguments, '--start', 2, '--no-learning', '--weights', weights, '--output', 'second'
        )[0]
        == 0
    )
    (run,) = read_runs(tmp_path / 'second')
    assert len(run.frames) == 20 and run.class_names[: len(class_names)] == class_names
    assert run.counts['learned'] == 0
    assert set(run.status['recruited_neurons']) == {network.recruited_neurons}


def test_a_robot_that_does_not_learn_does_not_learn_here(evaluate, bag, config, tmp_path):
    content = yaml.safe_load(config.read_text())
    content['/**/snn_learner']['ros__parameters']['learning'] = False
    config.write_text(yaml.safe_dump(content))
    assert evaluate(bag, '--config', config, '--duration', 1)[0] == 0
    (run,) = read_runs(tmp_path / 'results' / 'evaluation')
    assert run.counts['classified'] > 5 and run.counts['learned'] == 0
    assert run.settings['learning'] is False


def test_weights_of_the_parameters_are_read_but_not_written(evaluate, bag, config, tmp_path):
    checkpoint = tmp_path / 'robot.topspark'
    robots = tmp_path / 'robot.yaml'
    content = yaml.safe_load(config.read_text())
    content['/**/snn_learner']['ros__parameters']['checkpoint_file'] = str(checkpoint)
    robots.write_text(yaml.safe_dump(content))
    assert evaluate(bag, '--config', robots)[0] == 0 and not checkpoint.exists()
    evaluate(bag, '--config', config, '--save-weights', checkpoint)
    before = checkpoint.read_bytes()
    assert evaluate(bag, '--config', robots)[0] == 0 and checkpoint.read_bytes() == before
    (run,) = read_runs(tmp_path / 'results' / 'evaluation')
    assert run.settings['weights'] == str(checkpoint) and run.status['recruited_neurons'][0] > 5


def test_what_is_lost_is_told(evaluate, bag, config, tmp_path):
    (file,) = bag.glob('*.mcap')
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    code, printed, _ = evaluate(cut, '--config', config)
    assert code == 0 and 'lost: cut.mcap: damaged (cut off behind byte ' in printed


def test_two_reports_side_by_side(evaluate, bag, config, tmp_path):
    for seed in (1, 2):
        evaluate(bag, '--config', config, '--seed', seed, '--output', tmp_path / f'seed {seed}')
    both = tmp_path / 'seed 1', tmp_path / 'seed 2'
    code, printed, _ = evaluate('--compare', *both)
    assert (code, printed) == (0, 'results/comparison/report.html written\n')
    self_contained(tmp_path / 'results' / 'comparison' / 'report.html')
    assert '| `seed` | 1 | 2 |' in (tmp_path / 'results/comparison/README.md').read_text()
    assert json.loads((tmp_path / 'results/comparison/comparison.json').read_text())['pairs']


def test_the_robots_own_file_is_read(evaluate, bag, tmp_path):
    """With nested namespaces, other nodes, and a second robot."""
    path = tmp_path / 'robots.yaml'
    path.write_text("""
/**: {ros__parameters: {use_sim_time: true, wheels: 4}}
robot1:
  snn_learner: {ros__parameters: {rule: recruiting, neurons: 30, training_timesteps: 4,
                                  inference_timesteps: 4, neuron: 7}}
  controller_server: {ros__parameters: {plugins: [FollowPath], FollowPath: {speed: 0.5}}}
robot2: {snn_learner: {ros__parameters: {rule: recruiting, neurons: 20, training_timesteps: 2,
                                         inference_timesteps: 2}}}
""")
    code, _, error = evaluate(bag, '--config', path)
    assert code == 2 and error == (
        f'topspark evaluate: {path}: snn_learner has entries in the namespaces /robot1, /robot2, '
        'accepted is one of them by --namespace\n'
    )
    code, printed, error = evaluate(bag, '--config', path, '--namespace', '/robot1')
    assert code == 0 and 'T = 4' in rows(printed)
    assert error == (
        f'topspark evaluate: {path}: neuron is no parameter of snn_learner and passed over\n'
    )
    (run,) = read_runs(tmp_path / 'results/evaluation')
    assert run.settings['neurons'] == 30


@pytest.fixture
def changed(bag, tmp_path):
    """A copy of the bag with what a function makes of each image."""

    def rewrite(change):
        store, copy = typestore(), tmp_path / 'changed'
        with Bag(bag, store) as source, Writer(copy, version=9) as writer:
            connections = {
                topic.name: writer.add_connection(topic.name, topic.type, typestore=store)
                for topic in source.topics
            }
            for recorded in source.messages(source.topics):
                message = source.deserialize(recorded)
                if recorded.topic == '/image':
                    message = change(message)
                writer.write(
                    connections[recorded.topic],
                    recorded.recorded_ns,
                    store.serialize_cdr(message, recorded.type),
                )
        return copy

    return rewrite


def test_without_a_frame_it_ends_with_1_and_says_why(evaluate, changed, config):
    nothing = changed(lambda message: replace(message, encoding='depth'))
    code, printed, error = evaluate(nothing, '--config', config)
    assert code == 1 and error.count('\n') == 1
    assert error.startswith(
        f'topspark evaluate: {nothing}: T = 8: no frame was evaluated, of 40 messages: /image: '
        "encoding is 'depth', accepted is "
    )
    assert 'lost: rejected messages: 40' in printed and printed.endswith('report.html written\n')


def test_clocks_that_jump_are_told(evaluate, changed, config):
    stamps = iter(range(40))

    def later(message):
        message.header.stamp.sec += 1000 * (next(stamps) >= 20)
        return message

    code, printed, _ = evaluate(changed(later), '--config', config)
    assert code == 0 and 'clock: header stamps of /image: ahead by 1000.000 s at 2.000 s' in printed


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        ((), 'accepted is either a BAG or --compare A B'),
        (('{bag}', '--compare', 'a', 'b'), 'accepted is either a BAG or --compare A B'),
        (
            ('none',),
            'none: File does not exist, accepted is a whole rosbag2 recording (its folder, or '
            'a .mcap or .db3 file)',
        ),
        (
            ('{bag}', '--timesteps', '2,few'),
            "--timesteps is '2,few', accepted are whole numbers or "
            'training/inference, comma-separated, such as 4,16,64/16',
        ),
        (('{bag}', '--timesteps', '0'), 'training_timesteps: 0 is outside 1 to 10000 steps'),
        (('{bag}', '--seed', '-1'), 'seed: -1 is outside 0 to 2147483647'),
        (('{bag}', '--jobs', '0'), 'jobs is 0, accepted is 1 or more, or -1'),
        (('{bag}', '--start', '-1'), 'start is -1 s, accepted is 0 or more'),
        (
            ('{bag}', '--weights', 'none'),
            '{bag}: {folder}/none: No such file or directory, accepted is a checkpoint',
        ),
        (
            ('{bag}', '--labels', 'none'),
            '{bag}: {folder}/none: No such file or directory, accepted is a CSV file with stamp,',
        ),
        (('{bag}', '--profile', 'none'), 'none: '),
        (
            ('{bag}', '--config', 'none'),
            'none: No such file or directory, accepted is a file of ROS parameters',
        ),
        (
            ('{bag}', '--output', '/proc/none'),
            '--output is /proc/none, accepted is a folder that can be written: ',
        ),
        (
            ('{bag}', '--timesteps', '2,4', '--save-weights', 'w'),
            '--save-weights is w, accepted is, for one run, a file: there are 2 runs',
        ),
        (
            ('{bag}', '--label-topic', '/image'),
            "{bag}: label topic is '/image', accepted is one with "
            'topspark_ros/msg/Label, std_msgs/msg/String; the bag holds /battery_state (',
        ),
        (('--compare', 'a', 'b'), 'a/report.json: No such file or directory'),
    ],
)
def test_what_is_rejected_is_one_line(evaluate, bag, tmp_path, arguments, complaint):
    code, printed, error = evaluate(*(each.format(bag=bag) for each in arguments))
    assert (code, printed) == (2, '') and error.count('\n') == 1
    assert error.startswith(f'topspark evaluate: {complaint.format(bag=bag, folder=tmp_path)}')


@pytest.fixture(scope='module')
def second_bag(bag):
    path = bag.parent / 'second'
    record(path, RecordingSettings(width=96, height=72, rate_hz=10, frames=30, seed=1))
    return path


def test_a_run_is_kept_but_weights_are_saved_each_time(evaluate, bag, config, tmp_path):
    arguments = bag, '--config', config
    assert evaluate(*arguments)[0] == 0
    kept = {
        path: path.stat().st_mtime_ns for path in (tmp_path / 'results/evaluation/runs').iterdir()
    }
    before = read_runs(tmp_path / 'results' / 'evaluation')
    assert evaluate(*arguments)[0] == 0 and len(kept) == 1
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
    (again,), (first,) = read_runs(tmp_path / 'results' / 'evaluation'), before
    assert again.took_s == first.took_s and again.neurobench == first.neurobench
    for _ in range(2):
        assert evaluate(*arguments, '--save-weights', 'w.topspark')[0] == 0
        (tmp_path / 'w.topspark').unlink()
    assert len(list((tmp_path / 'results' / 'evaluation' / 'runs').iterdir())) == 1


def test_a_folder_of_bags_stands_for_all_of_them(evaluate, bag, second_bag, config, tmp_path):
    bags = tmp_path / 'bags'
    (bags / 'notes').mkdir(parents=True)
    for each in (bag, second_bag):
        (bags / each.name).symlink_to(each)
    code, printed, error = evaluate(bags, '--config', config)
    assert (code, error) == (0, '') and 'T = 8: 2 bags, 70 frames' in printed
    told = json.loads((tmp_path / 'results' / 'evaluation' / 'fleet.json').read_text())
    assert list(told['bags']) == ['digits', 'second']


def test_many_bags_and_one_that_fails(evaluate, bag, second_bag, config, tmp_path):
    (tmp_path / 'broken').mkdir()
    arguments = (
        f'{bag.parent}/*',
        tmp_path / 'broken',
        *('--config', config, '--timesteps', '2,8', '--jobs', 2),
    )
    code, printed, error = evaluate(*arguments)
    assert code == 1 and error.count('\n') == 1
    assert error.startswith(f'topspark evaluate: {tmp_path}/broken')
    folder = tmp_path / 'results' / 'evaluation'
    assert printed.splitlines()[-1] == 'results/evaluation/report.html written'
    assert 'T = 8: 2 bags, 70 frames' in printed
    fleet = json.loads((folder / 'fleet.json').read_text())
    assert set(fleet['summary']) == {'T = 2', 'T = 8'} and len(fleet['failed']) == 1
    assert fleet['summary']['T = 8']['frames'] == 70
    names = list(fleet['bags'])
    assert [name.rpartition('/')[2] for name in names] == ['digits', 'second']
    page = self_contained(folder / 'report.html')
    assert {'T = 2', 'T = 8', *names, 'connection_sparsity'} <= set(page.texts)
    for name, frames in zip(names, (40, 30)):
        each = read_runs(folder / 'bags' / name)
        assert [len(run.frames) for run in each] == [frames] * 2

    kept = {path: path.stat().st_mtime_ns for path in (folder / 'runs').iterdir()}
    assert len(kept) == 4
    assert evaluate(*arguments)[0] == 1
    assert {path: path.stat().st_mtime_ns for path in (folder / 'runs').iterdir()} == kept


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (('none*',), 'BAG is none*, accepted is a pattern that fits a recording'),
        (
            ('{bag}', '{second}', '--save-weights', 'w'),
            '--save-weights is w, accepted is, for one run, a file: there are 2 runs',
        ),
        (
            ('{bag}', '--scheduler', 'here'),
            "scheduler is 'here', accepted is an address such as tcp://host:8786",
        ),
        (('{bag}', '{second}', '--jobs', '0'), 'jobs is 0, accepted is 1 or more, or -1'),
    ],
)
def test_what_is_rejected_of_many_bags(evaluate, bag, second_bag, arguments, complaint):
    pytest.importorskip('dask.distributed')
    code, _, error = evaluate(*(each.format(bag=bag, second=second_bag) for each in arguments))
    assert (code, error) == (2, f'topspark evaluate: {complaint}\n')
