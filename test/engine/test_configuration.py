"""A configuration is rejected by name, value and what is accepted."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from topspark_ros.engine import (
    RULES,
    EngineError,
    NetworkConfig,
    NeuronConfig,
    create_network,
    input_rate,
)


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
        ('coding', 'rate'),
        ('coding', None),
        ('normalisation', 'l1'),
        ('normalisation', 2),
        ('neuron', None),
        ('neuron', dict(inhibition=1.0)),
    ],
)
def test_rejected(field, value):
    with pytest.raises(EngineError, match=rf'^{field} is .*accepted is'):
        NetworkConfig(**{field: value})


@pytest.mark.parametrize(
    'field, values',
    [
        ('membrane_time_constant', (0.0, -1.0, -math.inf, math.nan, '1', None, True, 1j)),
        ('synaptic_time_constant', (-0.5, math.inf, math.nan, '1', None, False)),
        ('reset_potential', (1.0, 1, 2.0, -2e6, math.inf, -math.inf, math.nan, '0', None, False)),
        ('theta_step', (-1.0, 2e6, math.inf, math.nan, '8', None, True)),
        ('theta_time_constant', (0, -1.0, math.nan, '1', None, True)),
        ('inhibition', (-1.0, -math.inf, math.nan, '1', None, True)),
        ('output_spikes', (0.0, -1.0, math.inf, math.nan, '1', None, True)),
        ('inference_spikes', (0.0, -1.0, math.inf, math.nan, '1', None, True)),
        ('refractory_period', (-1, 1.0, 10_001, math.nan, '1', None, True)),
        ('inhibitory_layer', (1, 0, 'yes', None)),
        ('enhancement', (1, 0, 'yes', None)),
    ],
)
def test_neurons_rejected(field, values):
    for value in values:
        with pytest.raises(EngineError, match=rf'^{field} is .*accepted is'):
            NeuronConfig(**{'inhibition': 1.0, field: value})


def test_inhibitory_layer_takes_a_finite_inhibition():
    with pytest.raises(EngineError, match='^inhibition is inf, accepted with an inhibitory layer'):
        NeuronConfig(inhibitory_layer=True)
    assert NeuronConfig(inhibitory_layer=True, inhibition=2).inhibition == 2.0


@pytest.mark.parametrize(
    'other',
    [
        dict(refractory_period=1),
        dict(reset_potential=0.5),
        dict(theta_step=2),
        dict(output_spikes=2),
        dict(enhancement=False),
    ],
    ids=str,
)
def test_recruiting_takes_no_other_neurons(other):
    with pytest.raises(EngineError, match='^neuron is .*accepted with the recruiting rule is the'):
        NetworkConfig(neuron=NeuronConfig(**other))
    assert NetworkConfig(neuron=NeuronConfig()) == NetworkConfig()


def test_more_weights_than_fit_are_rejected():
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
    neuron = NeuronConfig(membrane_time_constant=np.float32(2), refractory_period=np.int8(1))
    assert neuron == NeuronConfig(membrane_time_constant=2, refractory_period=1)
    assert [type(v) for v in (neuron.membrane_time_constant, neuron.refractory_period)] == [
        float,
        int,
    ]


def test_a_configuration_cannot_be_changed():
    for config in (NetworkConfig(), NeuronConfig()):
        with pytest.raises(FrozenInstanceError):
            config.neurons = 3


@pytest.mark.parametrize('rule', RULES)
def test_smallest_network(rule):
    # The only neuron spikes at every sample: its theta would soar.
    neuron = NeuronConfig(theta_step=0.0 if rule != 'recruiting' else 8.0)
    config = NetworkConfig(
        inputs=1, neurons=1, rule=rule, max_input_rate=np.float64(math.inf), neuron=neuron
    )
    network = create_network(config)
    for _ in range(20):
        network.learn(np.array([7], np.uint8), 5, 0)
    response = network.infer(np.array([3], np.uint8), 5)
    assert response.counts.input_spikes == 5
    assert response.predicted == 0
    norm = 1.0 if rule == 'recruiting' else 8.0
    np.testing.assert_allclose(network.receptive_fields(), [[norm]], rtol=1e-4)


def test_rate_preserves_the_number_of_spikes_up_to_its_limits():
    assert input_rate(350) * 350 == pytest.approx(200)
    assert input_rate(50) * 50 == pytest.approx(200)
    assert input_rate(4) == 9.0 and input_rate(4, 20.0) == 20.0
    assert input_rate(50, 0.57) == 0.57
    assert input_rate(1000, 0.57) == pytest.approx(0.2)


def test_rate_on_a_full_scale():
    assert input_rate(350, normalisation='full_scale') == pytest.approx(0.06375)
    assert input_rate(50, normalisation='full_scale') * 50 == pytest.approx(0.06375 * 350)
    assert input_rate(4, normalisation='full_scale') == 1.0
    assert input_rate(50, 0.06375, 'full_scale') == 0.06375
