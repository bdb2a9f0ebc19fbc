"""Parameters without ROS: files as the nodes read them, and what follows of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from topspark_ros.engine import RULES
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.online import Margins, Timesteps
from topspark_ros.perception.parameters import ParameterError, checked, read_parameters

CONFIG = Path(__file__).parents[2] / 'config'
DECLARATIONS = {
    'snn_learner': SnnLearnerParameters,
    'timestep_controller': TimestepControllerParameters,
}


def written(tmp_path, text: str) -> Path:
    path = tmp_path / 'parameters.yaml'
    path.write_text(text)
    return path


@pytest.mark.parametrize('node', DECLARATIONS)
@pytest.mark.parametrize('file', ['topspark.yaml', 'demo.yaml', 'demo_events.yaml'])
def test_the_shipped_files_are_read(node, file):
    given, unknown = read_parameters(CONFIG / file, node, DECLARATIONS[node])
    assert given and not unknown
    parameters = DECLARATIONS[node](**given)
    if file == 'topspark.yaml':
        assert parameters == DECLARATIONS[node]()


@pytest.mark.parametrize(
    'entry', ['/**/snn_learner', 'snn_learner', '/snn_learner', '/robot1/snn_learner', '/**']
)
def test_every_form_of_an_entry(tmp_path, entry):
    path = written(
        tmp_path,
        f'{entry}: {{ros__parameters: {{neurons: 7, label_wait: 1e-1, '
        'event_roi: [1, 2, 3, 4], inference_margin: .inf, use_sim_time: true}}\n'
        'other: {ros__parameters: {neurons: 9}}\n',
    )
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters).values == {
        'neurons': 7,
        'label_wait': 0.1,
        'event_roi': (1, 2, 3, 4),
        'inference_margin': math.inf,
    }


def test_of_all_entries_that_fit_the_last_one_counts(tmp_path):
    path = written(
        tmp_path,
        '/**: {ros__parameters: {neurons: 9, seed: 3, min_dwell: 1.0}}\n'
        'snn_learner: {ros__parameters: {neurons: 7}}',
    )
    given = read_parameters(path, 'snn_learner', SnnLearnerParameters)
    assert given == ({'neurons': 7, 'seed': 3}, ())
    assert read_parameters(path, 'timestep_controller', TimestepControllerParameters) == (
        {'min_dwell': 1.0},
        (),
    )


ACCEPTED = (
    ', accepted is a file of ROS parameters, such as /**/snn_learner: {ros__parameters: '
    '{name: value}}'
)


@pytest.mark.parametrize(
    'text, complaint',
    [
        ('neurons: 7', 'line 1: neurons has no ros__parameters of its own' + ACCEPTED),
        ('- 1', 'line 1: no name of a node' + ACCEPTED),
        ('# nothing', 'no ROS parameters' + ACCEPTED),
        (
            'a: [',
            'while parsing a flow node did not find expected node content in "<unicode string>", '
            'line 2, column 1' + ACCEPTED,
        ),
        (
            '/a/snn_learner: {ros__parameters: {seed: 1}}\n'
            '/b/snn_learner: {ros__parameters: {seed: 2}}',
            'snn_learner has entries in the namespaces /a, /b, accepted is one of them by '
            '--namespace',
        ),
        ('snn_learner: {ros__parameters: {neurons: 0}}', 'neurons: 0 is outside 1 to 100000'),
        (
            'snn_learner: {ros__parameters: {neurons: 1.5}}',
            'neurons: 1.5 is float, accepted is int',
        ),
        (
            'snn_learner: {ros__parameters: {neurons: true}}',
            'neurons: True is bool, accepted is int',
        ),
        (
            'snn_learner: {ros__parameters: {label_wait: 1}}',
            'label_wait: 1 is int, accepted is float',
        ),
        (
            'snn_learner: {ros__parameters: {label_wait: long}}',
            "label_wait: 'long' is str, accepted is float",
        ),
        (
            'snn_learner: {ros__parameters: {event_roi: [0, 0.5]}}',
            'line 1: event_roi is a list of several types' + ACCEPTED,
        ),
        (
            'snn_learner: {ros__parameters: {event_roi: [0.0, 0.5]}}',
            'event_roi: [0.0, 0.5] is list, accepted is a list of int',
        ),
        (
            'snn_learner: {ros__parameters: {rule: hebb}}',
            "rule: 'hebb' is not one of " + ', '.join((*RULES, 'discriminant')),
        ),
    ],
)
def test_what_is_rejected_is_one_line(tmp_path, text, complaint):
    path = written(tmp_path, text)
    with pytest.raises(ParameterError) as error:
        read_parameters(path, 'snn_learner', SnnLearnerParameters)
    assert str(error.value) == f'{path}: {complaint}'


def test_a_name_that_is_not_declared_is_passed_over_and_told(tmp_path):
    path = written(
        tmp_path,
        '/**: {ros__parameters: {wheels: 4}}\nsnn_learner: {ros__parameters: '
        '{neuron: 7, use_sim_time: true, seed: 2, qos_overrides: {/image: {depth: 1}}}}',
    )
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters) == (
        {'seed': 2},
        ('neuron is no parameter of snn_learner and passed over',),
    )


def test_the_name_of_the_version_before_is_still_taken_with_a_warning(tmp_path):
    path = written(tmp_path, '/**: {ros__parameters: {event_region: [1, 2, 3, 4]}}')
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters) == (
        {'event_roi': (1, 2, 3, 4)},
        ('event_region is now event_roi; the next version will not know the former name',),
    )
    with pytest.raises(ParameterError, match='neuron: no such parameter, accepted: input, '):
        checked(SnnLearnerParameters, {'neuron': 7})
    with pytest.raises(ParameterError, match='none.yaml: No such file'):
        read_parameters(tmp_path / 'none.yaml', 'snn_learner', SnnLearnerParameters)


def test_what_follows_of_the_learners():
    p = SnnLearnerParameters(
        **checked(
            SnnLearnerParameters,
            dict(
                input='events',
                event_by_polarity=True,
                event_roi=[1, 2, 30, 40],
                rule='recruiting',
                neurons=5,
                seed=9,
                training_timesteps=8,
                inference_timesteps=4,
                training_margin=0.5,
            ),
        )
    )
    config, settings = p.network_config(), p.event_settings()
    assert (config.inputs, config.neurons, config.seed) == (2 * 28 * 28, 5, 9)
    assert settings.roi == (1, 2, 30, 40) and settings.window_ns == 80_000_000
    assert p.timesteps() == Timesteps(8, 4) and p.margins() == Margins(0.5, math.inf)
    assert SnnLearnerParameters().event_settings().roi is None
    images = SnnLearnerParameters(rule='recruiting', event_by_polarity=True)
    assert images.network_config().inputs == 28 * 28
    with pytest.raises(ParameterError, match=r'event_roi: \[1, 2\]; accepted: left, top'):
        SnnLearnerParameters(event_roi=(1, 2)).event_settings()


def test_what_follows_of_the_controllers():
    settings = TimestepControllerParameters(
        voltage_curve=(9.0, 12.0), min_dwell=7.0, learner_timeout=4.0
    ).control_settings()
    assert settings.battery.voltage_curve == (9.0, 12.0) and settings.policy.min_dwell_s == 7.0
    assert settings.learner_timeout_s == 4.0
    assert TimestepControllerParameters().control_settings().battery.voltage_curve == ()


def test_paths_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', '/home/robot')
    monkeypatch.setenv('ROBOT', 'left')
    path = written(
        tmp_path,
        'snn_learner: {ros__parameters: {checkpoint_file: ~/$ROBOT.topspark, '
        "profile_file: '${ROBOT}/profile.yaml'}}",
    )
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters).values == {
        'checkpoint_file': '/home/robot/left.topspark',
        'profile_file': 'left/profile.yaml',
    }


@pytest.mark.parametrize(
    'value, unknown',
    [
        ('$NO_SUCH_VARIABLE/w', '$NO_SUCH_VARIABLE'),
        ('a/${NO_SUCH}', '${NO_SUCH}'),
        ('~nobody-of-this-name/w', '~nobody-of-this-name'),
    ],
)
@pytest.mark.parametrize(
    'declaration, name',
    [
        (SnnLearnerParameters, 'checkpoint_file'),
        (SnnLearnerParameters, 'profile_file'),
        (TimestepControllerParameters, 'profile_file'),
    ],
)
def test_a_path_that_names_what_is_not_there_is_rejected(declaration, name, value, unknown):
    with pytest.raises(ParameterError) as error:
        checked(declaration, {name: value})
    assert str(error.value).startswith(f'{name}: {value!r}: {unknown} is not known here; accepted:')


NESTED = """
robot1:
  snn_learner: {ros__parameters: {neurons: 1}}
  left/snn_learner: {ros__parameters: {neurons: 2}}
/robot2/snn_learner: {ros__parameters: {neurons: 3}}
navigation: {planner: {ros__parameters: {plugins: [a, b], inflation: {radius: 0.5}}}}
---
/*/snn_learner: {ros__parameters: {seed: 5}}
/robot2/*: {ros__parameters: {seed: 6}}
"""


@pytest.mark.parametrize(
    'namespace, values',
    [
        ('/robot1', {'neurons': 1, 'seed': 5}),
        ('robot1/', {'neurons': 1, 'seed': 5}),
        ('/robot1/left', {'neurons': 2}),
        ('/robot2', {'neurons': 3, 'seed': 6}),
        ('/robot3', {'seed': 5}),
        ('/', {}),
        ('', {}),
    ],
)
def test_a_namespace_chooses(tmp_path, namespace, values):
    path = written(tmp_path, NESTED)
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters, namespace).values == values


def test_several_namespaces_are_told(tmp_path):
    with pytest.raises(ParameterError, match='namespaces /robot1, /robot1/left, /robot2, accepted'):
        read_parameters(written(tmp_path, NESTED), 'snn_learner', SnnLearnerParameters)


@pytest.mark.parametrize(
    'entry',
    [
        'robot1: {snn_learner: {ros__parameters: {seed: 1}}}',
        '/*/snn_learner: {ros__parameters: {seed: 1}}',
        '/*/*/snn_learner: {ros__parameters: {seed: 1}}',
        '/robot1/**/snn_learner: {ros__parameters: {seed: 1}}',
        '/robot1/*: {ros__parameters: {seed: 1}}',
        '/robot1: {"*": {ros__parameters: {seed: 1}}}',
        '/robot1/**: {ros__parameters: {seed: 1}}',
    ],
)
def test_without_a_namespace_it_is_the_only_one(tmp_path, entry):
    path = written(
        tmp_path,
        'other: {planner: {ros__parameters: {seed: 2}}}\n/other/*: '
        '{ros__parameters: {seed: 3}}\n' * ('/snn_learner' in entry) + entry,
    )
    assert read_parameters(path, 'snn_learner', SnnLearnerParameters).values == {'seed': 1}
