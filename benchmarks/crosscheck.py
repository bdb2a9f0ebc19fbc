"""The same networks in Brian2 answer the same input spikes with the same output spikes.

    python -m benchmarks.crosscheck

One presentation a case: weights and input spikes are random, spikes are compared one by one.
Potentials are float32 here and float64 in Brian2, so a potential that is closer to its threshold
than some 1e-6 of it may differ; `closest` says how close any came.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from topspark_ros.engine import (
    Network,
    NetworkConfig,
    NeuronConfig,
    SpikeTrain,
    create_network,
)
from topspark_ros.engine.kernels import plasticity, stdp

from . import peers

INPUTS, NEURONS, TIMESTEPS = 40, 10, 350
INPUT_PROBABILITY = 0.1  # of a spike of an input in a step
WEIGHT_TOLERANCE = 1e-5  # of the mean weight, after learning: float32 and some 100 updates
SEED = 0

ALONE = 0.0  # inhibition that does nothing
UNEQUAL = 'unequal thetas'
LEARNING = 'learning'
# Input of some ten steps reaches the threshold, of two where refractory inhibitory neurons are to
# matter.
GAIN, LOW_GAIN = 6.7e-3, 1.3e-3
CASES = {
    'leak': (NeuronConfig(inhibition=ALONE), GAIN),
    'no leak': (NeuronConfig(membrane_time_constant=math.inf, inhibition=ALONE), GAIN),
    'refractory period': (NeuronConfig(refractory_period=5, inhibition=ALONE), GAIN),
    'reset potential': (NeuronConfig(reset_potential=0.4, inhibition=ALONE), GAIN),
    'synaptic current': (NeuronConfig(synaptic_time_constant=10, inhibition=ALONE), GAIN),
    f'{UNEQUAL} and scales': (NeuronConfig(inhibition=ALONE), GAIN),
    'lateral inhibition': (NeuronConfig(inhibition=0.3), GAIN),
    'inhibitory layer': (NeuronConfig(inhibition=0.3, inhibitory_layer=True), LOW_GAIN),
    'winner takes all': (NeuronConfig(), GAIN),
    'lateral, refractory': (NeuronConfig(refractory_period=5, inhibition=0.3), GAIN),
    'layer, current, refractory': (
        NeuronConfig(
            synaptic_time_constant=2, refractory_period=1, inhibition=0.3, inhibitory_layer=True
        ),
        LOW_GAIN,
    ),
    f'winner, current, refractory, reset, {UNEQUAL}': (
        NeuronConfig(synaptic_time_constant=2, refractory_period=60, reset_potential=-0.5),
        GAIN,
    ),
    f'{LEARNING}, winner takes all': (NeuronConfig(), GAIN),
    f'{LEARNING}, {UNEQUAL}, other steps': (NeuronConfig(theta_step=3, output_spikes=1.5), GAIN),
    f'{LEARNING}, inhibitory layer': (
        NeuronConfig(inhibition=0.3, inhibitory_layer=True),
        LOW_GAIN,
    ),
}


def cross_check(seed: int = SEED) -> list[dict]:
    """Simulate every case here and in Brian2.

    Returns for each: case; our_spikes and brian2_spikes, output spikes; equal_spikes, those in
    both (same step and neuron; when learning, same neuron); closest, the least distance of a
    potential from its threshold, or of a winner from the next, as a fraction of the threshold;
    weights_apart, the largest difference after learning as a fraction of the mean weight, None
    without; first_difference in words, None if there is none. Raises PeerError.
    """
    networks = [_network(name, *case, seed) for name, case in CASES.items()]
    train = _input_spikes(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, (name, network) in enumerate(zip(CASES, networks)):
            np.savez(folder / f'{number:02}.npz', **_case(network, train, _learns(name)))
        peers.simulate_spikes(folder)
        rows = []
        for number, (name, network) in enumerate(zip(CASES, networks)):
            with np.load(folder / 'brian2' / f'{number:02}.npz') as theirs:
                compare = _compare_learning if _learns(name) else _compare_spikes
                rows.append(dict(case=name, **compare(network, train, dict(theirs))))
    return rows


def _learns(name: str) -> bool:
    return name.startswith(LEARNING)


def _input_spikes(seed: int) -> SpikeTrain:
    rng = np.random.default_rng(seed)
    return SpikeTrain(*np.nonzero(rng.random((TIMESTEPS, INPUTS)) < INPUT_PROBABILITY))


def _network(name: str, neuron: NeuronConfig, gain: float, seed: int) -> Network:
    """A network with random weights and, in some cases, thetas as learning leaves them."""
    network = create_network(
        NetworkConfig(inputs=INPUTS, neurons=NEURONS, rule='pairwise', neuron=neuron, seed=seed)
    )
    state = network.state()
    state['gain'][:] = gain
    if UNEQUAL in name:
        rng = np.random.default_rng(seed)
        state['theta'] = rng.uniform(0, 6, NEURONS).astype(np.float32)
        state['scale'] = rng.uniform(0.5, 2, NEURONS)
        state['weights'] = (state['weights'] / state['scale']).astype(np.float32)
        state['squares'] = (state['weights'].astype(np.float64) ** 2).sum(axis=0)
    network.restore(state)
    return network


def _wanted_spikes(network: Network, train: SpikeTrain) -> float:
    """Output spikes that a presentation of these input spikes is to have."""
    wanted = stdp.target_spikes(float(len(train.steps)), TIMESTEPS, NEURONS)
    return network.config.neuron.output_spikes * wanted


def _case(network: Network, train: SpikeTrain, learning: bool) -> dict:
    """All that brian2_spikes.py is told: real weights and thresholds, times in steps."""
    neuron, state = network.config.neuron, network.state()
    wanted = _wanted_spikes(network, train)
    theta = state['theta'].astype(np.float64)
    if not learning:
        theta[:] = theta.mean()
    unit = state['gain'][0] * len(train.steps) / wanted
    winner = math.isinf(neuron.inhibition)
    return dict(
        steps=train.steps,
        neurons=train.neurons,
        timesteps=TIMESTEPS,
        weights=network.receptive_fields().T,
        threshold=unit * (stdp.REST_THRESHOLD + theta),
        membrane_time_constant=neuron.membrane_time_constant,
        synaptic_time_constant=neuron.synaptic_time_constant,
        refractory_period=neuron.refractory_period,
        reset_potential=neuron.reset_potential * unit * stdp.REST_THRESHOLD,
        winner=winner,
        layer=neuron.inhibitory_layer,
        strength=0.0 if winner else neuron.inhibition * unit * stdp.REST_THRESHOLD,
        learning=learning,
        threshold_step=unit * neuron.theta_step / wanted,
        learning_step=min(0.5, 0.8 / wanted),
        tiring=0.5 ** (1 / (12 * wanted)),
        min_factor=plasticity.MIN_LEARNING_RATE,
        weight_norm=plasticity.WEIGHT_NORM,
    )


def _compare_spikes(network: Network, train: SpikeTrain, theirs: dict) -> dict:
    ours = network.raster(train, TIMESTEPS)
    mine = set(zip(ours.steps.tolist(), ours.neurons.tolist()))
    others = set(zip(theirs['steps'].tolist(), theirs['neurons'].tolist()))
    margins = _margins(network, theirs)
    difference = None
    if mine != others:
        step, neuron = first = min(mine ^ others)
        difference = (
            f'step {step}: neuron {neuron} spikes only '
            f'{"here" if first in mine else "in Brian2"}, margin {margins[step]:.1e}'
        )
    return dict(
        our_spikes=len(mine),
        brian2_spikes=len(others),
        equal_spikes=len(mine & others),
        closest=float(margins.min()),
        weights_apart=None,
        first_difference=difference,
    )


def _compare_learning(network: Network, train: SpikeTrain, theirs: dict) -> dict:
    """Weights tell when the spikes were: a change depends on the traces of that step."""
    before = network.state()['theta']
    network.learn(train, TIMESTEPS)
    grown = network.state()['theta'] - before
    step = network.config.neuron.theta_step / _wanted_spikes(network, train)
    ours = np.rint(grown / step).astype(int)
    others = np.bincount(theirs['neurons'], minlength=NEURONS)
    apart = np.abs(network.receptive_fields().T - theirs['weights'])
    apart = float(apart.max() / theirs['weights'].mean())
    margins = _margins(network, theirs)
    difference = None
    if (ours != others).any():
        neuron = int(np.argmax(ours != others))
        difference = f'neuron {neuron} spikes {ours[neuron]} times here, not {others[neuron]}'
    elif not apart <= WEIGHT_TOLERANCE:
        difference = f'weights are {apart:.1e} of their mean apart'
    return dict(
        our_spikes=int(ours.sum()),
        brian2_spikes=int(others.sum()),
        equal_spikes=int(np.minimum(ours, others).sum()),
        closest=float(margins.min()),
        weights_apart=apart,
        first_difference=difference,
    )


def _margins(network: Network, theirs: dict) -> np.ndarray:
    """By how much the decision of each step was taken in Brian2, as a fraction of a threshold."""
    above = theirs['potential'] - theirs['threshold']
    if math.isinf(network.config.neuron.inhibition):
        second, first = np.sort(above, axis=0)[-2:]
        margins = np.where(second >= 0, np.minimum(first - second, first), np.abs(first))
        return margins / theirs['threshold'].mean(axis=0)
    return (np.abs(above) / theirs['threshold']).min(axis=0)


def main() -> int:
    try:
        rows = cross_check()
    except peers.PeerError as error:
        print(f'crosscheck: {error}', file=sys.stderr)
        return 2
    columns = [column.replace('_', ' ') for column in rows[0]]
    cells = [columns] + [[_shown(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 1 if any(row['first_difference'] for row in rows) else 0


def _shown(value: object) -> str:
    if value is None:
        return '-'
    return f'{value:.1e}' if isinstance(value, float) else str(value)


if __name__ == '__main__':
    sys.exit(main())
