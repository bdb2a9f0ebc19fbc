"""NIR graphs of networks, run by a reader in NumPy, and networks of NIR graphs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import (
    Checkpoint,
    DiscriminantConfig,
    ExchangeError,
    FeaturesConfig,
    NetworkConfig,
    NeuronConfig,
    Time,
    create_network,
    export_nir,
    import_nir,
    input_spike_counts,
    input_spikes,
)

nir = pytest.importorskip('nir', reason="needs the extra 'nir'")

TIMESTEPS = 50
NAMES = tuple(map(str, range(10)))
LATERAL = NeuronConfig(inhibition=1.0, theta_step=1.0)
CONFIGS = {
    'lateral': LATERAL,
    'no leak': replace(LATERAL, membrane_time_constant=math.inf),
    'fast leak, reset below rest': replace(
        LATERAL, membrane_time_constant=20.0, reset_potential=-0.5
    ),
    'alone, more spikes': NeuronConfig(inhibition=0.0, theta_step=1.0, inference_spikes=2.0),
}
READERS = [Time(), Time(1e-4), Time(integration='exponential')]


@pytest.fixture(scope='module', params=CONFIGS)
def trained(request, digits):
    config = NetworkConfig(neurons=20, rule='pairwise', neuron=CONFIGS[request.param])
    network = create_network(config)
    network.learn_many(digits.pixels[:100], TIMESTEPS, np.array(digits.labels[:100]))
    return Checkpoint(network, NAMES)


def run(graph, spikes, time):
    """Output spikes (timesteps, neurons), and what was read out of each step, by a plain reader.

    Each node is stepped through as NIR defines it, and a cycle takes a step.
    """
    lif = graph.nodes['excitatory.lif']
    synapses, readout = graph.nodes['synapses'], graph.nodes['readout']
    back = [graph.nodes[name].weight for name in graph.nodes if name.startswith('inhibition')]
    potential = np.zeros(len(lif.v_threshold))
    sent = np.zeros_like(potential)
    raster, read = [], []
    for step in spikes:
        current = synapses.weight.astype(float) @ step
        if back:  # in either order: one is a multiple of the identity
            current += back[0].astype(float) @ (back[1] @ sent)
        if isinstance(lif, nir.IF):
            potential = potential + lif.r * current
        elif time.integration == 'euler':
            potential = potential + time.step_s / lif.tau * (lif.r * current - potential)
        else:
            kept = np.exp(-time.step_s / lif.tau.astype(float))
            potential = kept * potential + (1 - kept) * lif.r * current
        sent = (potential > lif.v_threshold).astype(float)
        potential = np.where(sent > 0, lif.v_reset, potential)
        raster.append(sent)
        read.append(readout.weight @ sent)
    return np.array(raster), np.array(read)


@pytest.mark.parametrize('time', READERS, ids=str)
def test_a_reader_gives_the_same_spikes_and_scores(trained, digits, tmp_path, time):
    network = trained.network
    export_nir(trained, tmp_path / 'net.nir', TIMESTEPS, time)
    graph = nir.read(str(tmp_path / 'net.nir'))
    same = total = 0
    for pixels in digits.pixels[100:140]:
        spikes = input_spikes(network.config, pixels, TIMESTEPS)
        counts = input_spike_counts(network.config, pixels, TIMESTEPS)
        np.testing.assert_array_equal(counts, spikes.sum(axis=0))
        expected = network.infer(pixels, TIMESTEPS)
        assert spikes.sum() == expected.counts.input_spikes
        raster, read = run(graph, spikes, time)
        steps, neurons = network.raster(pixels, TIMESTEPS)
        ours = np.zeros_like(raster)
        ours[steps, neurons] = 1
        same += (raster == ours).all()
        total += ours.sum()
        if (raster == ours).all():
            scores = read.sum(axis=0) / max(1, ours.sum())
            np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
    # Rounding of float32 may move a spike by a step, after which others follow.
    assert same >= 39 and total > 100


@pytest.mark.parametrize('time', READERS, ids=str)
def test_what_is_imported_classifies_alike_and_goes_on_learning(trained, digits, tmp_path, time):
    path = tmp_path / 'net.nir'
    export_nir(trained, path, TIMESTEPS, time)
    network, class_names, _ = import_nir(path)
    assert class_names == NAMES
    pixels, labels = digits.pixels[100:300], np.array(digits.labels[100:300])
    for timesteps in (TIMESTEPS, 8):  # thresholds follow T
        ours = trained.network.infer_many(pixels, timesteps)
        theirs = network.infer_many(pixels, timesteps)
        assert (ours.predicted == theirs.predicted).mean() > 0.98
    network.learn_many(pixels, TIMESTEPS, labels)
    network.restore(network.state())
    assert network.classes == 10


def test_a_winner_takes_all_network_says_what_nir_cannot(digits, tmp_path):
    network = create_network(NetworkConfig(neurons=20, rule='pairwise'))
    network.learn_many(digits.pixels[:100], TIMESTEPS, np.array(digits.labels[:100]))
    path = tmp_path / 'net.nir'
    missing = export_nir(Checkpoint(network, NAMES), path, TIMESTEPS)
    assert missing[0].startswith('winner-take-all: ')
    graph = nir.read(str(path))
    assert json.loads(graph.metadata['topspark'])['not_in_nir'] == list(missing)
    again = import_nir(path).network
    assert again.config.neuron.inhibition == math.inf
    pixels = digits.pixels[100:300]
    ours, theirs = (each.infer_many(pixels, TIMESTEPS).predicted for each in (network, again))
    assert (ours == theirs).mean() > 0.98


def test_potentials_of_the_recruiting_rule(digits, tmp_path):
    network = create_network(NetworkConfig(neurons=30))
    network.learn_many(digits.pixels[:100], 4, np.array(digits.labels[:100]))
    path = tmp_path / 'net.nir'
    missing = export_nir(Checkpoint(network, NAMES), path, 4)
    assert len(missing) == 2 and missing[0].startswith('the threshold that ramps down')
    graph = nir.read(str(path))
    assert set(graph.nodes) == {'input', 'synapses', 'potential', 'output'}
    state, agreed = network.state(), 0
    for pixels in digits.pixels[100:150]:
        spikes = input_spikes(network.config, pixels, 4).sum(axis=0)
        potential = graph.nodes['synapses'].weight @ spikes
        drive = potential / np.linalg.norm(spikes) - state['theta'][: len(potential)]
        agreed += np.argmax(drive) == network.raster(pixels, 4).neurons[0]
    assert agreed == 50
    with pytest.raises(ExchangeError, match='net.nir: it is of .*, accepted is Input, Affine'):
        import_nir(path)


def foreign(**changes):
    """A layer that somebody else trained: 6 inputs, 3 neurons; nothing but nodes."""
    rng = np.random.default_rng(0)
    parts = dict(
        weight=rng.random((3, 6)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        tau=np.full(3, 0.02, np.float32),
        r=np.full(3, 20.0, np.float32),
        v_leak=np.zeros(3, np.float32),
        v_threshold=np.array([1.0, 2.0, 1.5], np.float32),
        inhibition=None,
    )
    parts |= changes
    nodes = {
        'input': nir.Input({'input': np.array([6])}),
        'w': nir.Affine(parts['weight'], parts['bias']),
        'lif': nir.LIF(*(parts[name] for name in ('tau', 'r', 'v_leak', 'v_threshold'))),
        'output': nir.Output({'output': np.array([3])}),
    }
    edges = [('input', 'w'), ('w', 'lif'), ('lif', 'output')]
    if parts['inhibition'] is not None:
        nodes['back'] = nir.Linear(parts['inhibition'])
        edges += [('lif', 'back'), ('back', 'lif')]
    return nir.NIRGraph(nodes, edges, metadata={})


def test_a_layer_of_others_is_taken_with_its_own_thresholds(tmp_path):
    path, graph = tmp_path / 'theirs.nir', foreign()
    nir.write(str(path), graph)
    with pytest.raises(ExchangeError, match='theirs.nir: it says no timesteps, accepted is T'):
        import_nir(path)
    network, class_names, _ = import_nir(path, timesteps=30)
    assert class_names == () and network.classes == 0
    assert network.config.neuron.membrane_time_constant == pytest.approx(-1 / math.log(0.95))
    state = network.state()
    level = network.threshold_unit(30) * 13
    ratio = state['weights'].T / level * graph.nodes['lif'].v_threshold[:, np.newaxis]
    np.testing.assert_allclose(ratio, graph.nodes['w'].weight, rtol=1e-5)
    network.learn(np.full(6, 9, np.uint8), 30, label=1)
    assert network.classes == 2


@pytest.mark.parametrize(
    'changes, complaint',
    [
        ({'weight': np.full((3, 6), -1, 'f4')}, 'synapses have weights below 0'),
        ({'weight': np.full((3, 6), np.nan, 'f4')}, 'synapses have weights below 0, not finite'),
        ({'bias': np.ones(3, 'f4')}, 'w has a bias, accepted is none'),
        ({'tau': np.array([0.02, 0.03, 0.02], 'f4')}, 'tau differs among neurons'),
        ({'tau': np.full(3, 1e-4, 'f4')}, 'tau is 0.0001 s, accepted is more than a step'),
        ({'v_leak': np.ones(3, 'f4')}, 'v_leak is not 0'),
        ({'v_threshold': np.zeros(3, 'f4')}, 'v_threshold is 0 or less'),
        ({'inhibition': -np.ones((3, 3), 'f4')}, 'what leads from neurons to themselves differs'),
        (
            {'inhibition': np.eye(3, dtype='f4') - 1},
            'v_threshold differs, accepted with inhibition',
        ),
    ],
)
def test_graphs_that_are_no_network_of_ours_are_one_line(tmp_path, changes, complaint):
    path = tmp_path / 'theirs.nir'
    nir.write(str(path), foreign(**changes))
    with pytest.raises(ExchangeError, match=f'^{path}: {complaint}') as caught:
        import_nir(path, timesteps=30)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('content', [b'', b'no graph\n', b'\x89HDF\r\n\x1a\n' + bytes(500)])
def test_files_that_are_no_graph_are_one_line(tmp_path, content):
    path = tmp_path / 'rubbish.nir'
    path.write_bytes(content)
    with pytest.raises(ExchangeError, match=f'^{path}: .*accepted is a NIR graph') as caught:
        import_nir(path)
    assert '\n' not in str(caught.value)
    with pytest.raises(ExchangeError, match='missing: No such file or directory, accepted'):
        import_nir(tmp_path / 'missing')


@pytest.mark.parametrize(
    'config, complaint',
    [
        (DiscriminantConfig(28, 1, 16, 16, 2), 'the network is a discriminant, accepted is a'),
        (
            NetworkConfig(784, 20, encoder=FeaturesConfig(28, 1, 16, 16, 2), max_input_rate=18.0),
            'encoder is features, accepted is a layer on pixels',
        ),
        (
            NetworkConfig(rule='pairwise', neuron=replace(LATERAL, refractory_period=2)),
            'refractory_period is 2, accepted is 0',
        ),
        (
            NetworkConfig(rule='pairwise', neuron=replace(LATERAL, synaptic_time_constant=2.0)),
            'synaptic_time_constant is 2.0, accepted is 0.0',
        ),
        (
            NetworkConfig(rule='pairwise', neuron=replace(LATERAL, inhibitory_layer=True)),
            'inhibitory_layer is True, accepted is False',
        ),
        (NetworkConfig(neurons=9), 'the network has learned nothing'),
    ],
)
def test_what_nir_would_make_another_network_of_is_rejected(tmp_path, config, complaint):
    with pytest.raises(ExchangeError, match=complaint):
        export_nir(Checkpoint(create_network(config), ()), tmp_path / 'net.nir', 16)
    assert not list(tmp_path.iterdir())


def test_settings_and_places_that_are_none(trained, tmp_path):
    with pytest.raises(ExchangeError, match='step_s is 0, accepted is a number from 1e-9'):
        Time(0)
    with pytest.raises(ExchangeError, match="integration is 'exact', accepted is one of euler, e"):
        Time(integration='exact')
    with pytest.raises(ExchangeError, match='net.nir cannot be written: '):
        export_nir(trained, tmp_path / 'none' / 'net.nir', 16)
