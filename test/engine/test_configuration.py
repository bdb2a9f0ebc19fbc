"""A configuration is refused by name, value and what is accepted."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from topspark_ros.engine import EngineError, NetworkConfig, create_network, input_rate


@pytest.mark.parametrize(
    'field, value',
    [
        ('inputs', 0),
        ('inputs', -1),
        ('inputs', 784.0),
        ('inputs', True),
        ('neurons', 0),
        ('neurons', '400'),
        ('neurons', None),
        ('rule', 'hebb'),
        ('rule', 3),
        ('max_input_rate', 0.0),
        ('max_input_rate', -1.0),
        ('max_input_rate', math.nan),
        ('max_input_rate', '1'),
        ('max_input_rate', True),
        ('seed', -1),
        ('seed', 2**63),
        ('seed', 0.5),
    ],
)
def test_refused(field, value):
    with pytest.raises(EngineError, match=rf'^{field} is .*accepted is'):
        NetworkConfig(**{field: value})


def test_more_weights_than_fit_are_refused():
    with pytest.raises(EngineError, match='inputs x neurons is 100000 x 100000, accepted'):
        NetworkConfig(inputs=100_000, neurons=100_000)


def test_numpy_scalars_become_python_ones():
    config = NetworkConfig(inputs=np.int64(3), seed=np.uint8(1), max_input_rate=np.float32(2))
    assert config == NetworkConfig(inputs=3, seed=1, max_input_rate=2)
    assert [type(v) for v in (config.inputs, config.seed, config.max_input_rate)] == [
        int,
        int,
        float,
    ]


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        NetworkConfig().neurons = 3


@pytest.mark.parametrize('rule', ['recruiting', 'pairwise'])
def test_smallest_network(rule):
    config = NetworkConfig(inputs=1, neurons=1, rule=rule, max_input_rate=np.float64(math.inf))
    network = create_network(config)
    for _ in range(20):
        network.learn(np.array([7], np.uint8), 5, 0)
    assert network.infer(np.array([3], np.uint8), 5).counts.input_spikes == 5
    assert network.receptive_fields().shape == (1, 1)


def test_rate_preserves_the_number_of_spikes_up_to_its_limits():
    assert input_rate(350) * 350 == pytest.approx(200)
    assert input_rate(50) * 50 == pytest.approx(200)
    assert input_rate(4) == 9.0
    assert input_rate(50, 0.57) == 0.57
    assert input_rate(1000, 0.57) == pytest.approx(0.2)
