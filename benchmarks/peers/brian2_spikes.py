"""The networks of the cross-check in Brian2: the same equations, written down independently.

    brian2_spikes.py FOLDER

FOLDER holds cases, *.npz, as crosscheck.py writes them. What Brian2 makes of each, its spikes,
potentials and weights, goes to a file of the same name in FOLDER/brian2.

Brian2 integrates exactly, in double precision. A step of 1 ms: potentials decay, input and
inhibition arrive, thresholds are compared, neurons are reset. With a synaptic current input
arrives first, since the current acts on the potential in the course of the step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import brian2
import numpy as np
from brian2 import (
    Hz,
    NetworkOperation,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
)

AT_ONCE = ['start', 'groups', 'synapses', 'thresholds', 'resets', 'end']
BY_CURRENT = ['start', 'synapses', 'groups', 'thresholds', 'resets', 'end']


def excitatory_group(case: dict[str, np.ndarray]) -> NeuronGroup:
    """Leaky integrate-and-fire neurons, with a synaptic current if it has a time constant."""
    leak, release = 1 / case['membrane_time_constant'], 0.0  # a step
    drive = 1.0
    equations = 'dv/dt = -leak * v : 1'
    if case['synaptic_time_constant'] > 0:
        release = 1 / case['synaptic_time_constant']
        # Gives the potential 1 - exp(-release) of the current in the first step.
        drive = (1 - np.exp(-release)) * (release - leak) / (np.exp(-leak) - np.exp(-release))
        equations = 'dv/dt = drive * current - leak * v : 1'
    period = int(case['refractory_period'])
    if period:
        equations += ' (unless refractory)'
    if case['synaptic_time_constant'] > 0:
        equations += '\n dcurrent/dt = -release * current : 1'
    group = NeuronGroup(
        len(case['threshold']),
        equations + '\n v_threshold : 1\n may_spike : boolean\n factor : 1\n trace_squares : 1',
        threshold='v >= v_threshold and may_spike',
        reset='v = reset_potential'
        + (
            '\n v_threshold += threshold_step\nfactor = clip(factor * tiring, min_factor, 1)'
            if case['learning']
            else ''
        ),
        # Brian2 counts the step of the spike itself, we the steps after it.
        refractory=(1 + period) * ms if period else False,
        method='exact',
        namespace=dict(
            leak=1000 * leak * Hz,
            release=1000 * release * Hz,
            drive=1000 * drive * Hz,
            reset_potential=case['reset_potential'],
            threshold_step=case['threshold_step'],
            tiring=case['tiring'],
            min_factor=case['min_factor'],
        ),
    )
    group.v_threshold = case['threshold']
    group.may_spike = True
    group.factor = 1
    return group


def forward_synapses(
    case: dict[str, np.ndarray], sources: SpikeGeneratorGroup, targets: NeuronGroup
) -> Synapses:
    """All inputs to all neurons; learning is pair-wise STDP at the output spike.

    The norm of a neuron's weights is brought back by `scaling`.
    """
    target = 'current' if case['synaptic_time_constant'] > 0 else 'v'
    if not case['learning']:
        synapses = Synapses(sources, targets, 'w : 1', on_pre=f'{target}_post += w')
    else:
        synapses = Synapses(
            sources,
            targets,
            'w : 1\n dx/dt = -x / (100*ms) : 1 (clock-driven)'
            '\n trace_squares_post = x**2 : 1 (summed)',
            on_pre=f'{target}_post += w\n x += 1',
            on_post='w += learning_step * factor_post'
            ' * (weight_norm * x / sqrt(trace_squares_post) - w)',
            method='exact',
            namespace=dict(learning_step=case['learning_step'], weight_norm=case['weight_norm']),
        )
        synapses.summed_updaters['trace_squares_post'].when = 'before_thresholds'
        synapses.post.when = 'after_thresholds'
    synapses.connect()
    synapses.w = case['weights'].ravel()
    return synapses


def scaling(case: dict[str, np.ndarray], forward: Synapses) -> NetworkOperation:
    """Synaptic scaling: the weights of a neuron that has spiked get their L2 norm back."""

    def scale() -> None:
        weights = forward.w[:].reshape(case['weights'].shape)
        spiked = forward.target.spikes
        weights[:, spiked] *= case['weight_norm'] / np.linalg.norm(weights[:, spiked], axis=0)
        forward.w = weights.ravel()

    return NetworkOperation(scale, when='before_resets')


def inhibition(case: dict[str, np.ndarray], targets: NeuronGroup) -> list:
    """What makes the neurons compete."""
    if case['winner']:

        def choose() -> None:
            furthest = np.argmax(targets.v[:] - targets.v_threshold[:])
            targets.may_spike = np.arange(len(targets)) == furthest

        everyone = Synapses(
            targets,
            targets,
            on_pre='v_post = reset_potential',
            namespace=dict(reset_potential=case['reset_potential']),
        )
        everyone.connect()
        everyone.pre.when = 'after_resets'
        return [NetworkOperation(choose, when='before_thresholds'), everyone]

    take = dict(on_pre='v_post -= strength', namespace=dict(strength=case['strength']))
    if not case['layer']:
        others = Synapses(targets, targets, **take)
        others.connect(condition='i != j')
        others.pre.when = 'after_resets'
        return [others]

    layer = NeuronGroup(
        len(targets),
        'dv/dt = -v / (10*ms) : 1 (unless refractory)',
        threshold='v >= 1',
        reset='v = 0',
        method='exact',
        refractory=3 * ms,
    )  # the step of its spike and two more
    layer.state_updater.when = 'start'
    layer.thresholder['spike'].when = 'after_synapses'
    # Before thresholds are compared the spikes that there are come from the step before.
    own = Synapses(targets, layer, on_pre='v_post = 1')
    own.connect(j='i')
    others = Synapses(layer, targets, **take)
    others.connect(condition='i != j')
    others.pre.when = 'before_thresholds'
    # Without a current, 'after_synapses' is followed by 'before_thresholds'; with one, by the
    # integration of potentials, which these spikes wait for.
    return [layer, own, others]


def simulate(case: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One presentation, everything at rest at its start.

    steps, neurons: of the output spikes. potential, threshold: (neurons, timesteps), as they are
    compared. weights: (inputs, neurons) at the end.
    """
    brian2.start_scope()
    brian2.defaultclock.dt = 1 * ms
    shape = case['weights'].shape
    sources = SpikeGeneratorGroup(shape[0], case['neurons'], case['steps'] * ms, when='start')
    targets = excitatory_group(case)
    forward = forward_synapses(case, sources, targets)
    compared = StateMonitor(
        targets, ('v', 'v_threshold'), record=True, when='before_thresholds', order=1
    )
    spikes = SpikeMonitor(targets)
    network = brian2.Network(
        sources, targets, forward, compared, spikes, *inhibition(case, targets)
    )
    if case['learning']:
        network.add(scaling(case, forward))
    network.schedule = BY_CURRENT if case['synaptic_time_constant'] > 0 else AT_ONCE
    network.run(int(case['timesteps']) * ms)
    return dict(
        steps=np.rint(spikes.t / ms).astype(int),
        neurons=np.array(spikes.i),
        potential=compared.v,
        threshold=compared.v_threshold,
        weights=np.array(forward.w).reshape(shape),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='holds the cases')
    folder = parser.parse_args().folder
    brian2.prefs.codegen.target = 'numpy'  # nothing to compile
    (folder / 'brian2').mkdir()
    for file in sorted(folder.glob('*.npz')):
        with np.load(file) as case:
            np.savez(folder / 'brian2' / file.name, **simulate(dict(case)))


if __name__ == '__main__':
    main()
