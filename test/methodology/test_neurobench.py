"""NeuroBench's metrics against counts made one by one."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from topspark_ros.engine import (
    DiscriminantConfig,
    EncodedConfig,
    EngineError,
    NetworkConfig,
    NeuronConfig,
    create_network,
    input_spikes,
)
from topspark_ros.methodology.neurobench import (
    NeuroBenchError,
    NeuroBenchMetrics,
    measure_neurobench,
)

TIMESTEPS = 12


@pytest.fixture(scope='module')
def digits():
    """8 x 8, (samples, 64) uint8, and labels."""
    data = load_digits()
    return (data.data * 15).astype(np.uint8), data.target.astype(np.int64)


@pytest.mark.parametrize(
    'neuron',
    [NeuronConfig(inhibition=2.0), NeuronConfig(inhibition=0.0, inference_spikes=8.0)],
    ids=['lateral', 'alone'],
)
def test_a_layer_of_stdp(digits, neuron):
    pixels, labels = digits
    network = create_network(NetworkConfig(64, 10, 'pairwise', neuron=neuron))
    network.learn_many(pixels[:200], TIMESTEPS, labels[:200])
    shown = pixels[200:230]
    metrics = measure_neurobench(network, shown, TIMESTEPS)
    weights = network.state()['weights']
    additions = spikes = 0
    for each in shown:
        for step in input_spikes(network.config, each, TIMESTEPS):
            additions += sum(np.count_nonzero(weights[i]) for i in np.flatnonzero(step))
        spikes += len(network.raster(each, TIMESTEPS).steps)
    lateral = 9 if neuron.inhibition else 0
    assert spikes > 0
    assert metrics.Effective_MACs == 0
    assert metrics.Effective_ACs == pytest.approx((additions + lateral * spikes) / 30)
    assert metrics.Dense == TIMESTEPS * (640 + 10 * lateral)
    assert metrics.activation_sparsity == pytest.approx(1 - spikes / (30 * 10 * TIMESTEPS))
    assert metrics.connection_sparsity == np.mean(weights == 0)
    assert metrics.footprint == network.memory_bytes


def test_prototypes_have_weights_of_0_that_no_spike_is_added_by(digits):
    pixels, labels = digits
    network = create_network(NetworkConfig(64, 30))
    network.learn_many(pixels[:200], 4, labels[:200])
    shown = pixels[200:230]
    metrics = measure_neurobench(network, shown, 4)
    assert 0.05 < metrics.connection_sparsity < 0.8
    every = network.infer_many(shown, 4).total_counts().synaptic_operations / 30
    assert 0 < metrics.Effective_ACs < every
    assert metrics.Dense == 4 * 64 * network.recruited_neurons


def test_a_discriminant_that_sees_pictures():
    config = DiscriminantConfig(28, 1, 16, 16, 2)
    network = create_network(config)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, config.inputs), dtype=np.uint8)
    network.learn_many(pictures, 4, np.arange(20) % 3)
    metrics = measure_neurobench(network, pictures, 4)
    connections = 24**2 * 16 * 5 * 5 * 2 + 12**2 * 16 * 3 * 3 * 2
    read = 3 * config.features
    assert metrics.Dense == 4 * connections + read
    assert metrics.Effective_MACs == read
    assert 0 < metrics.Effective_ACs < 4 * connections
    fired = network.infer_many(pictures, 4).total_counts().output_spikes
    neurons = 20 * (24**2 + 12**2) * 16
    assert metrics.activation_sparsity == pytest.approx(1 - fired / neurons)
    assert 0 < metrics.activation_sparsity < 1


def test_names_are_those_of_neurobench(digits):
    network = create_network(NetworkConfig(64, 30))
    network.learn_many(digits[0][:20], 4, digits[1][:20])
    assert list(measure_neurobench(network, digits[0][:5], 4).shown()) == [
        'footprint',
        'connection_sparsity',
        'activation_sparsity',
        'synaptic_operations, Effective_MACs',
        'synaptic_operations, Effective_ACs',
        'synaptic_operations, Dense',
    ]


def test_the_mean_is_of_those_that_are_known():
    one, two = (
        NeuroBenchMetrics(100.0 * n, 0.1 * n, 0.2 * n, 0.0, 8.0 * n, 9.0 * n) for n in (1, 3)
    )
    assert NeuroBenchMetrics.mean([one, None, two]) == pytest.approx((200, 0.2, 0.4, 0, 16, 18))
    assert NeuroBenchMetrics.mean([None]) is None


@pytest.mark.parametrize(
    'config, samples, complaint',
    [
        (NetworkConfig(64, 9), 0, 'samples are none'),
        (EncodedConfig(64, 'x'), 3, 'the network is of EncodedConfig.*, accepted by NeuroBench'),
        (NetworkConfig(64, 9, coding='latency'), 3, 'coding is latency .*, accepted are rate_reg'),
    ],
)
def test_what_has_no_metrics_is_one_line(digits, config, samples, complaint):
    shown = (digits[0][:samples] / 255).astype(np.float32)
    with pytest.raises((NeuroBenchError, EngineError), match=complaint):
        measure_neurobench(create_network(config), shown, 4)
