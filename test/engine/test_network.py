"""State, repeatability, counts and change of timestep."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from topspark_ros.engine import (
    CODINGS,
    RULES,
    EngineError,
    NetworkConfig,
    NeuronConfig,
    SpikeTrain,
    compilations,
    create_network,
    warm_up,
)
from topspark_ros.engine.kernels import compilation

from .conftest import same_state


def learn(network, digits, start, stop, timesteps=32):
    responses = []
    for k in range(start, stop):
        label = digits.labels[k] if k % 3 else None
        responses.append(network.learn(digits.pixels[k], timesteps + k % 5, label))
    return [(r.predicted, r.scores.tobytes(), r.counts) for r in responses]


def test_same_seed_same_result(trained, digits):
    twins = [create_network(trained.config) for _ in range(2)]
    assert learn(twins[0], digits, 0, 100) == learn(twins[1], digits, 0, 100)
    assert same_state(twins[0].state(), twins[1].state())


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('coding', ['rate_regular', 'rate_bernoulli'])
def test_another_seed_another_result(digits, rule, coding):
    config = NetworkConfig(neurons=10, rule=rule, coding=coding, seed=1)
    other = NetworkConfig(neurons=10, rule=rule, coding=coding, seed=2)
    one, two = create_network(config), create_network(other)
    assert learn(one, digits, 0, 100) != learn(two, digits, 0, 100)


def test_what_memory_held_before_does_not_matter(trained, digits):
    expected = trained.infer(digits.pixels[70], 32)
    for _ in range(100):
        # Freed at once: the kernels are likely to be given the same memory.
        [np.full(size, np.nan, np.float32) for size in range(30, 100, 2) for _ in range(12)]
        response = trained.infer(digits.pixels[70], 32)
        assert response.counts == expected.counts
        np.testing.assert_array_equal(response.scores, expected.scores)


def test_another_thread_same_result(trained, digits):
    twin = create_network(trained.config)
    twin.restore(trained.state())
    with ThreadPoolExecutor(1) as threads:
        elsewhere = threads.submit(learn, twin, digits, 60, 100)
        here = learn(trained, digits, 60, 100)
        assert elsewhere.result() == here


def test_restored_network_continues_to_the_last_bit(trained, digits):
    twin = create_network(trained.config)
    twin.restore(trained.state())
    assert learn(twin, digits, 60, 300) == learn(trained, digits, 60, 300)
    assert same_state(twin.state(), trained.state())


def test_reset_is_a_new_network(trained):
    trained.reset()
    assert same_state(trained.state(), create_network(trained.config).state())
    assert (trained.classes, trained.labelled_neurons) == (0, 0)


def test_inference_changes_nothing(trained, digits):
    before = trained.state()
    pixels = digits.pixels[70]
    for _ in range(2):
        responses = [trained.infer(pixels, 16, margin).scores for margin in (math.inf, 0.2)]
        trained.raster(pixels, 16)
        trained.infer_many(digits.pixels[60:80], 16, threads=2)
        trained.infer(SpikeTrain(np.array([1, 3]), np.array([400, 401])), 16)
        trained.quantised().infer(pixels, 16)
        again = [trained.infer(pixels, 16, margin).scores for margin in (math.inf, 0.2)]
        np.testing.assert_array_equal(again, responses)
    assert same_state(trained.state(), before)


def test_state_and_receptive_fields_are_copies(trained):
    before = trained.state()
    for array in trained.state().values():
        array[...] = 1
    trained.receptive_fields()[:] = 5
    assert same_state(trained.state(), before)


def test_warm_up_changes_nothing(trained):
    before = trained.state()
    warm_up(trained)
    assert same_state(trained.state(), before)


def test_nothing_compiles_after_warm_up(trained, digits):
    warm_up(trained)

    def loaded():
        return compilations(), [len(entry.signatures) for entry in compilation.ENTRY_POINTS]

    before = loaded()
    read_only = np.frombuffer(digits.pixels[0].tobytes(), np.uint8)
    spikes = SpikeTrain(np.array([1, 3], np.uint8), np.array([400, 401], np.int16))
    for sample in (digits.pixels[0], read_only, read_only.astype(np.float32), spikes):
        trained.learn(sample, np.int64(16), np.uint8(3))
        trained.learn(sample, 16)
        trained.infer(sample, 16)
        trained.infer(sample, 16, np.float32(0.5))
        trained.raster(sample, 16)
    for many in (digits.pixels[:5], digits.pixels[:10:2], np.asfortranarray(digits.pixels[:5])):
        trained.infer_many(many, 16, 1, threads=2)
        trained.learn_many(many, 16)
        trained.learn_many(many, 16, np.arange(5, dtype=np.uint8))
    twin = create_network(trained.config)
    twin.restore(trained.state())
    twin.learn(digits.pixels[0], 16, 3)
    assert loaded() == before


def test_kernels_compile_without_a_place_for_a_cache(monkeypatch):
    compile_ = compilation.numba.njit

    def njit(cache=False, **options):
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return compile_(**options)

    monkeypatch.setattr(compilation, 'ENTRY_POINTS', [])
    monkeypatch.setattr(compilation.numba, 'njit', njit)
    assert compilation.entry_point(lambda x: x + 1)(2) == 3
    assert compilations() == 1


def break_shape(state):
    state['weights'] = state['weights'][:, :-1]


def break_type(state):
    state['theta'] = state['theta'].astype(np.float64)


def break_number(state):
    state['weights'][3, 3] = np.nan


def break_sign(state):
    state['theta'][0] = -1


def break_norm(state):
    state['weights'] *= 2


def break_votes(state):
    votes = 'label_counts' if 'label_counts' in state else 'responses'
    state[votes][0, 0] = -1


def break_classes(state):
    state['class_frames'] = state['class_frames'][:-1]


def leave_out(state):
    del state['weights']


def add_unknown(state):
    state['bias'] = np.zeros(3)


@pytest.mark.parametrize(
    'damage',
    [
        break_shape,
        break_type,
        break_number,
        break_sign,
        break_norm,
        break_votes,
        break_classes,
        leave_out,
        add_unknown,
    ],
)
def test_restore_rejects_before_it_changes_anything(trained, damage):
    before = trained.state()
    damaged = trained.state()
    damage(damaged)
    with pytest.raises(EngineError, match='^state '):
        trained.restore(damaged)
    assert same_state(trained.state(), before)


def test_restore_rejects_more_neurons_than_there_are(digits):
    network = create_network(NetworkConfig(neurons=30))
    network.learn(digits.pixels[0], 16, 0)
    state = network.state()
    state['recruited'][0] = 31
    with pytest.raises(EngineError, match='recruited is 31, accepted is at most the 30'):
        network.restore(state)


def test_restore_accepts_signed_corrections_and_nothing_else_out_of_range(digits):
    network = create_network(NetworkConfig(neurons=30))
    network.learn_many(digits.pixels[:100], 16, 2 * np.array(digits.labels[:100]))
    state = network.state()
    assert (state['readout_weights'] < 0).any() and (state['fast_readout_weights'] < 0).any()
    network.restore(state)
    state['gram'][0, 1] = -0.1
    with pytest.raises(EngineError, match='state gram is negative'):
        network.restore(state)
    state = network.state()
    state['attractions'][0] = 0
    with pytest.raises(EngineError, match='state attractions is 0'):
        network.restore(state)
    state = network.state()
    state['label_counts'][0, 1] = 1
    with pytest.raises(
        EngineError, match='state label_counts are for classes that were never seen'
    ):
        network.restore(state)


@pytest.mark.parametrize('name, factor', [('scale', 2.0), ('scale', 0.0), ('gain', 0.0)])
def test_restore_rejects_what_stdp_cannot_reach(name, factor):
    network = create_network(NetworkConfig(inputs=4, neurons=3, rule='triplet'))
    state = network.state()
    state[name][0] *= factor
    with pytest.raises(EngineError, match='^state (weights are not normalised|scale is|gain is)'):
        network.restore(state)


def test_read_out_grows_with_a_new_label(trained, digits):
    known = trained.classes
    response = trained.learn(digits.pixels[0], 32, known + 2)
    assert response.scores.shape == (known,)
    assert trained.classes == known + 3
    assert trained.infer(digits.pixels[0], 32).scores.shape == (known + 3,)


@pytest.mark.parametrize('rule', RULES)
def test_an_unlabelled_stream_predicts_nothing(digits, rule):
    network = create_network(NetworkConfig(neurons=30, rule=rule))
    for pixels in digits.pixels[:50]:
        assert network.learn(pixels, 32).predicted is None
    assert (network.classes, network.labelled_neurons) == (0, 0)
    assert network.recruited_neurons > 10


def test_counts(trained, digits):
    """Every input spike reaches every neuron in use; an update rewrites a neuron's weights."""
    in_use = trained.recruited_neurons
    before = trained.receptive_fields()
    counts = trained.learn(digits.pixels[61], 20, digits.labels[61]).counts
    assert counts.input_spikes > 0 and counts.output_spikes > 0
    from_inputs = counts.input_spikes * in_use
    if trained.config.neuron.inhibitory_layer:
        assert counts.synaptic_operations > from_inputs + counts.output_spikes
    elif trained.config.rule == 'recruiting':
        # The graded event of each active input is heard by the neurons that spiked.
        graded = np.count_nonzero(digits.pixels[61])
        spikes = trained.infer(digits.pixels[61], 20).counts.input_spikes
        if trained.config.coding == 'rate_regular':
            assert counts.input_spikes == spikes + graded
        assert counts.synaptic_operations == (
            (counts.input_spikes - graded) * in_use + graded * counts.output_spikes
        )
    else:
        assert counts.synaptic_operations == from_inputs + counts.output_spikes * (in_use - 1)
    layers = 2 if trained.config.neuron.inhibitory_layer else 1
    assert counts.neuron_updates == layers * in_use * 20
    after = trained.receptive_fields()
    assert len(after) > in_use or (after != before).any()
    assert counts.synaptic_updates > 0
    if trained.config.rule == 'recruiting':  # affinities and the read-out, too
        corrected = 2 * counts.output_spikes * np.count_nonzero(trained.state()['class_frames'])
        assert counts.synaptic_updates - corrected in ((784 + in_use), 2 * (784 + in_use))
    elif trained.config.rule != 'triplet':  # which also changes weights one by one
        assert counts.synaptic_updates % 784 == 0
    assert trained.infer(digits.pixels[61], 20).counts.synaptic_updates == 0


def test_raster_holds_every_output_spike(trained, digits):
    timesteps = 50
    for pixels in digits.pixels[60:70]:
        steps, neurons = trained.raster(pixels, timesteps)
        assert len(steps) == trained.infer(pixels, timesteps).counts.output_spikes
        assert (np.diff(steps) >= 0).all()
        if trained.config.rule == 'recruiting':
            assert (steps == timesteps - 1).all() and len(set(neurons)) == 12
        else:
            assert len(steps) and 0 <= steps.min() and steps.max() < timesteps
        assert 0 <= neurons.min() and neurons.max() < trained.recruited_neurons
    assert len(trained.raster(np.zeros(784, np.uint8), timesteps).steps) == 0


@pytest.mark.parametrize('period', [0, 1, 7])
def test_refractory_neurons_do_not_spike(digits, period):
    neuron = NeuronConfig(refractory_period=period, inhibition=0.0, inference_spikes=1e3)
    network = create_network(NetworkConfig(neurons=20, rule='pairwise', neuron=neuron))
    steps, neurons = network.raster(digits.pixels[0], 100)
    for j in range(20):
        assert np.diff(steps[neurons == j]).min() == period + 1


@pytest.mark.parametrize('layer', [False, True])
@pytest.mark.parametrize('inhibition', [10.0, 1e6])
def test_neurons_do_not_inhibit_themselves(digits, inhibition, layer):
    rasters = []
    for strength in (0.0, inhibition):
        neuron = NeuronConfig(inhibition=strength, inhibitory_layer=layer, inference_spikes=5)
        config = NetworkConfig(neurons=1, rule='pairwise', max_input_rate=math.inf, neuron=neuron)
        rasters.append(create_network(config).raster(digits.pixels[0], 100).steps)
    assert len(rasters[0]) > 5
    np.testing.assert_array_equal(*rasters)


def test_early_exit_spends_less_and_never_more(trained, digits):
    samples = digits.pixels[60:160]
    full = trained.infer_many(samples, 100)
    early = trained.infer_many(samples, 100, margin=0.1)
    assert (full.timesteps == 100).all()
    assert (early.timesteps <= 100).all() and early.timesteps.mean() < 80
    for counts in zip(early.counts.T, full.counts.T):
        assert (counts[0] <= counts[1]).all()
    # The recruiting rule adds input up in another order then.
    never = trained.infer_many(samples, 100, margin=1e9)
    np.testing.assert_allclose(never.scores, full.scores, rtol=1e-4)
    same = early.timesteps == 100
    np.testing.assert_array_equal(early.scores[same], never.scores[same])


def test_learning_may_end_early_too(trained, digits):
    twin = create_network(trained.config)
    twin.restore(trained.state())
    samples, labels = digits.pixels[60:160], np.array(digits.labels[60:160])
    early = twin.learn_many(samples, 100, labels, margin=0.3)
    assert early.timesteps.mean() < 99 and early.timesteps.max() <= 100
    twin.restore(trained.state())
    never = twin.learn_many(samples, 100, labels, margin=1e9)
    scores = trained.learn_many(samples, 100, labels).scores
    np.testing.assert_allclose(never.scores, scores, rtol=1e-3)
    if trained.config.rule != 'recruiting':  # which adds input up in another order then
        assert same_state(twin.state(), trained.state())


def test_inference_does_not_ask_whose_theta_it_is(digits):
    network = create_network(NetworkConfig(neurons=20, rule='pairwise'))
    network.learn_many(digits.pixels[:300], 50, np.array(digits.labels[:300]))
    twin = create_network(network.config)
    state = network.state()
    state['theta'] = state['theta'][::-1].copy()
    assert (state['theta'] != state['theta'][::-1]).any()
    twin.restore(state)
    rasters = [one.raster(digits.pixels[300], 50) for one in (network, twin)]
    assert len(rasters[0].steps) > 0
    np.testing.assert_array_equal(*rasters)
    answers = [one.infer_many(digits.pixels[300:400], 50).scores for one in (network, twin)]
    np.testing.assert_array_equal(*answers)
    assert learn(network, digits, 400, 410) != learn(twin, digits, 400, 410)


@pytest.mark.parametrize('rule', ['pairwise', 'adaptive', 'triplet', 'modulated'])
def test_without_enhancement_fewer_timesteps_are_a_presentation_cut_short(digits, rule):
    networks = [
        create_network(
            NetworkConfig(
                neurons=20,
                rule=rule,
                max_input_rate=math.inf,
                neuron=NeuronConfig(enhancement=enhancement, theta_step=1),
            )
        )
        for enhancement in (True, False)
    ]
    for network in networks:  # nothing to enhance
        network.learn_many(digits.pixels[:240], 350, np.array(digits.labels[:240]))
    states = [network.state() for network in networks]
    states[0].pop('window'), states[1].pop('window')
    assert same_state(*states)

    whole, cut = (networks[1].raster(digits.pixels[300], steps) for steps in (350, 100))
    assert 0 < len(cut.steps) < len(whole.steps)
    for one, other in zip(cut, whole):
        np.testing.assert_array_equal(one, other[: len(one)])
    gain = networks[1].state()['gain']
    networks[1].learn_many(digits.pixels[:600], 100)
    np.testing.assert_array_equal(networks[1].state()['gain'], gain)
    assert not networks[1].state()['window'].any()


def test_spikes_follow_the_timestep_at_a_limited_rate(digits):
    network = create_network(NetworkConfig(max_input_rate=0.57))
    spikes = [network.infer(digits.pixels[3], t).counts.input_spikes for t in (25, 50, 100, 200)]
    assert spikes[1:] == pytest.approx([2 * spikes[0], 4 * spikes[0], 8 * spikes[0]], rel=0.1)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('coding', CODINGS)
def test_timestep_changes_between_any_two_samples(digits, rule, coding):
    """What came before at other timesteps does not matter but for what was learned."""
    config = NetworkConfig(neurons=20, rule=rule, coding=coding, max_input_rate=math.inf)
    network = create_network(config)
    random = np.random.default_rng(0)
    for pixels, label in zip(digits.pixels[:60], digits.labels):
        network.learn(pixels, int(random.choice([1, 2, 3, 16, 100, 350])), label)
    for timesteps in (350, 1, 64, 2, 350):
        fresh = create_network(config)
        fresh.restore(network.state())
        for sample in digits.pixels[60:65]:
            response, alone = network.infer(sample, timesteps), fresh.infer(sample, timesteps)
            assert response.counts == alone.counts
            np.testing.assert_array_equal(response.scores, alone.scores)


def test_weights_start_at_a_cache_line():
    network = create_network(NetworkConfig(neurons=33, rule='pairwise'))
    networks = [network]
    for _ in range(3):  # memory comes in multiples of 16 bytes, so by chance one in four would do
        networks.append(create_network(network.config))
        networks[-1].restore(network.state())
        networks.append(networks[-1].quantised())
    for each in networks:
        assert each._state.weights.ctypes.data % 64 == 0
        assert each._state.weights.flags.c_contiguous
    network.reset()
    assert network._state.weights.ctypes.data % 64 == 0
