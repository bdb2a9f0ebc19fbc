"""The network of pair-wise STDP in Brian2, C++ standalone: a peer for the speed benchmark.

    brian2_network.py --images FILE.npy --neurons 400 --timesteps 350 --mode learn|infer
                      [--inputs poisson|gaps]

FILE.npy holds uint8 (samples, 784). Prints one JSON object on the last line.

The same as in ours: Bernoulli input of 0.06375 a step for a full pixel, fresh for every sample;
v decays with 100 ms and gains the weights of the inputs that spike; threshold GAIN (13 + theta);
an output spike sets every v to 0; v and the traces are 0 at the start of a sample. Learning:
theta grows by 0.5 at each own spike, and w += 0.01 (x - 0.4) (1 - w), clipped to [0, 1], x the
input's spike trace of 100 ms (Diehl and Cook's weight-dependent rule at the output spike).

Inputs, written in two ways:
- poisson: as users of Brian2 write it. A PoissonGroup, whose rates are a TimedArray of the
  samples, draws one random number for each input and step; every synapse has a trace of its own,
  event-driven, which a spike of its input brings up to date (as in Brian2's example of STDP and
  in Diehl and Cook's program);
- gaps: optimised by hand. Inputs draw the gap to their next spike (geometric: the same process);
  they hold the traces, so an input spike does not touch 400 synapses to keep them.

What differs is in Brian2's favour:
- every neuron over its threshold spikes: finding the one furthest above it would cost more;
- no normalisation of weights, no labels, no read-out and no control of the threshold gain;
- single precision and -Ofast; compilation and the creation of the synapses are not counted.

The time is processor time of the run (in one thread), as the generated program measures it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile

import brian2
import numpy as np
from brian2 import Hz, NeuronGroup, PoissonGroup, SpikeMonitor, Synapses, TimedArray, ms

SPIKE_PROBABILITY = 0.06375  # of a full pixel in one step of 1 ms
GAIN = 2.2  # gives 10 to 25 output spikes a sample of MNIST, 400 neurons and 350 steps
THRESHOLD = GAIN * 13
THRESHOLD_STEP = GAIN * 0.5  # what an output spike adds to the neuron's own threshold
WEIGHT_SUM = 78.4

TRACE = 'dx/dt = -x / (100*ms) : 1'
LEARNING_RULE = 'w = clip(w + 0.01 * ({x} - 0.4) * (1 - w), 0, 1)'


def configure(directory: str) -> None:
    """Generate C++ in this directory, for one thread and this machine, in single precision."""
    brian2.prefs.core.default_float_dtype = np.float32
    brian2.prefs.codegen.cpp.extra_compile_args_gcc = [
        '-w',
        '-Ofast',
        '-march=native',
        '-funroll-loops',
        '-std=c++11',
    ]
    brian2.prefs.devices.cpp_standalone.extra_make_args_unix = ['-j1']
    brian2.set_device('cpp_standalone', directory=directory)
    brian2.defaultclock.dt = 1 * ms
    brian2.seed(0)


def poisson_inputs(images: np.ndarray, timesteps: int) -> PoissonGroup:
    """Inputs that spike at rates of their own, one sample after another."""
    rates = TimedArray(images * (SPIKE_PROBABILITY / 255 * 1000) * Hz, dt=timesteps * ms)
    return PoissonGroup(
        images.shape[1], rates='rates_of_samples(t, i)', namespace={'rates_of_samples': rates}
    )


def gap_inputs(images: np.ndarray, timesteps: int, learning: bool) -> NeuronGroup:
    """Inputs that spike with a probability of their own in each step, one sample after another.

    next_spike: step of the next spike; log_silence: log of the probability of none in a step;
    x: trace of the spikes.
    """
    # A floor instead of 0 keeps the gap finite: a blank pixel's is about 1e12 steps.
    probabilities = np.maximum(images * (SPIKE_PROBABILITY / 255), 1e-12)
    stream = TimedArray(probabilities, dt=timesteps * ms)
    gap = 'int(clip(log(1 - rand()) / log_silence, 0, 1e9))'
    trace = (TRACE, 'x += 1', 'x = 0') if learning else ('', '', '')
    group = NeuronGroup(
        images.shape[1],
        f'log_silence : 1\n next_spike : integer\n {trace[0]}',
        threshold='t_in_timesteps >= next_spike',
        reset=f'next_spike += 1 + {gap}\n {trace[1]}',
        method='exact',
        namespace={'stream': stream},
    )
    group.run_regularly(
        f'log_silence = log1p(-stream(t, i))\n next_spike = int(t/ms + 0.5) + {gap}\n {trace[2]}',
        dt=timesteps * ms,
    )
    return group


def output_group(neurons: int, timesteps: int, learning: bool) -> NeuronGroup:
    """Leaky integrate-and-fire neurons; v is set to 0 by the inhibition, not by a reset."""
    group = NeuronGroup(
        neurons,
        'dv/dt = -v / (100*ms) : 1\n v_threshold : 1',
        threshold='v >= v_threshold',
        reset='v_threshold += threshold_step' if learning else '',
        method='exact',
        namespace={'threshold_step': THRESHOLD_STEP},
    )
    group.v_threshold = THRESHOLD
    group.run_regularly('v = 0', dt=timesteps * ms)
    return group


def forward_synapses(
    sources: PoissonGroup | NeuronGroup, targets: NeuronGroup, timesteps: int, learning: bool
) -> Synapses:
    """All inputs to all neurons, unconnected; traces are here unless the inputs hold them."""
    if not learning:
        return Synapses(sources, targets, 'w : 1', on_pre='v_post += w')
    if isinstance(sources, NeuronGroup):
        return Synapses(
            sources, targets, 'w : 1', on_pre='v_post += w', on_post=LEARNING_RULE.format(x='x_pre')
        )
    synapses = Synapses(
        sources,
        targets,
        f'w : 1\n {TRACE} (event-driven)',
        on_pre='v_post += w\n x += 1',
        on_post=LEARNING_RULE.format(x='x'),
    )
    synapses.run_regularly('x = 0', dt=timesteps * ms)
    return synapses


def simulate(images: np.ndarray, neurons: int, timesteps: int, learning: bool, inputs: str) -> dict:
    """Present all images in one run of the compiled program; what it took per sample."""
    samples, pixels = images.shape
    if inputs == 'poisson':
        sources = poisson_inputs(images, timesteps)
    else:
        sources = gap_inputs(images, timesteps, learning)
    targets = output_group(neurons, timesteps, learning)

    weights = np.random.default_rng(0).uniform(0, 0.3, (pixels, neurons))
    weights *= WEIGHT_SUM / weights.sum(axis=0)
    forward = forward_synapses(sources, targets, timesteps, learning)
    forward.connect()
    forward.w = weights.ravel()

    inhibition = Synapses(targets, targets, on_pre='v_post = 0')
    inhibition.connect()
    inhibition.pre.order = 1  # after the input of the same step

    counts = [SpikeMonitor(group, record=False) for group in (sources, targets)]
    network = brian2.Network(sources, targets, forward, inhibition, counts)
    network.run(samples * timesteps * ms)
    return {
        'microseconds_per_sample': 1e6 * brian2.device._last_run_time / samples,
        'input_spikes_per_sample': int(counts[0].num_spikes) / samples,
        'output_spikes_per_sample': int(counts[1].num_spikes) / samples,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', required=True, help='.npy file, uint8 (samples, 784)')
    parser.add_argument('--neurons', type=int, default=400)
    parser.add_argument('--timesteps', type=int, default=350, help='steps of 1 ms per sample')
    parser.add_argument('--mode', choices=('learn', 'infer'), required=True)
    parser.add_argument(
        '--inputs',
        choices=('poisson', 'gaps'),
        default='poisson',
        help='as users write them, or optimised by hand',
    )
    arguments = parser.parse_args()
    for tool in ('make', 'g++'):
        if shutil.which(tool) is None:
            sys.exit(f'{tool}: not found, Brian2 needs it to compile the network')
    images = np.load(arguments.images)
    with tempfile.TemporaryDirectory() as directory:
        configure(directory)
        figures = simulate(
            images,
            arguments.neurons,
            arguments.timesteps,
            learning=arguments.mode == 'learn',
            inputs=arguments.inputs,
        )
    optimised = ', inputs optimised by hand' if arguments.inputs == 'gaps' else ''
    print(
        json.dumps(
            {
                'simulator': f'Brian2 {brian2.__version__} C++ standalone{optimised}',
                'mode': arguments.mode,
                'samples': len(images),
                **figures,
            }
        )
    )


if __name__ == '__main__':
    main()
