"""State, repeatability, counts and change of timestep."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from topspark_ros.engine import (
    EngineError,
    NetworkConfig,
    OperationCounts,
    create_network,
    kernels,
    warm_up,
)

from .conftest import same_state


def learn(network, digits, start, stop, timesteps=32):
    responses = []
    for k in range(start, stop):
        label = digits.labels[k] if k % 3 else None
        responses.append(network.learn(digits.pixels[k], timesteps, label))
    return [(r.predicted, r.scores.tobytes(), r.counts) for r in responses]


def test_same_seed_same_result(trained, digits):
    twins = [create_network(trained.config) for _ in range(2)]
    assert learn(twins[0], digits, 0, 100) == learn(twins[1], digits, 0, 100)
    assert same_state(twins[0].state(), twins[1].state())


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
    responses = [trained.infer(digits.pixels[70], 16) for _ in range(2)]
    assert responses[0].scores.tobytes() == responses[1].scores.tobytes()
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
    compiled = getattr(kernels, f'present_{trained.config.rule}')
    read_only = np.frombuffer(digits.pixels[0].tobytes(), np.uint8)
    for pixels in (digits.pixels[0], read_only, read_only.astype(np.float32)):
        trained.learn(pixels, np.int64(16), np.uint8(3))
        trained.learn(pixels, 16)
        trained.infer(pixels, 16)
    assert len(compiled.signatures) == 1


def test_kernels_compile_without_a_place_for_a_cache(monkeypatch):
    compile_ = kernels.numba.njit

    def njit(cache=False, **options):
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return compile_(**options)

    monkeypatch.setattr(kernels.numba, 'njit', njit)
    assert kernels.kernel(lambda x: x + 1)(2) == 3


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
        break_classes,
        leave_out,
        add_unknown,
    ],
)
def test_restore_refuses_before_it_changes_anything(trained, damage):
    before = trained.state()
    damaged = trained.state()
    damage(damaged)
    with pytest.raises(EngineError, match='^state '):
        trained.restore(damaged)
    assert same_state(trained.state(), before)


def test_restore_refuses_more_neurons_than_there_are(digits):
    network = create_network(NetworkConfig(neurons=30))
    network.learn(digits.pixels[0], 16, 0)
    state = network.state()
    state['recruited'][0] = 31
    with pytest.raises(EngineError, match='recruited is 31, accepted is at most the 30'):
        network.restore(state)


def test_read_out_grows_with_a_new_label(trained, digits):
    known = trained.classes
    response = trained.learn(digits.pixels[0], 32, known + 2)
    assert response.scores.shape == (known,)
    assert trained.classes == known + 3
    assert trained.infer(digits.pixels[0], 32).scores.shape == (known + 3,)


def test_an_unlabelled_stream_predicts_nothing(digits):
    network = create_network(NetworkConfig(neurons=30))
    for pixels in digits.pixels[:50]:
        assert network.learn(pixels, 32).predicted is None
    assert (network.classes, network.labelled_neurons) == (0, 0)
    assert network.recruited_neurons > 10


def test_counts(trained, digits):
    """Every input spike reaches every neuron in use; every change rewrites a neuron's weights."""
    in_use = trained.recruited_neurons
    before = trained.state()['weights']
    response = trained.learn(digits.pixels[61], 20, digits.labels[61])
    counts = response.counts
    assert counts.input_spikes > 0
    assert counts.synaptic_operations == counts.input_spikes * in_use
    assert counts.neuron_updates == in_use * 20
    changed = (trained.state()['weights'] != before).any(axis=0).sum()
    assert changed * 784 <= counts.synaptic_updates
    assert counts.synaptic_updates % 784 == 0
    assert trained.infer(digits.pixels[61], 20).counts.synaptic_updates == 0
    assert OperationCounts(1, 2, 3, 4, 5).plus(OperationCounts(10, 0, 0, 0, 1)) == (11, 2, 3, 4, 6)


def test_spikes_follow_the_timestep_at_a_limited_rate(digits):
    network = create_network(NetworkConfig(max_input_rate=0.57))
    spikes = [network.infer(digits.pixels[3], t).counts.input_spikes for t in (25, 50, 100, 200)]
    assert spikes[1:] == pytest.approx([2 * spikes[0], 4 * spikes[0], 8 * spikes[0]], rel=0.1)
