"""The network of pair-wise STDP in BindsNET: a peer for the speed benchmark.

    bindsnet_network.py --images FILE.npy --neurons 400 --timesteps 350 --mode learn|infer

FILE.npy holds uint8 (samples, 784). Prints one JSON object on the last line.

The same as in ours: Bernoulli input of 0.06375 a step for a full pixel, fresh for every sample;
v decays with 100 ms and gains the weights of the inputs that spike; threshold GAIN (13 + theta);
exactly one winner spikes and sets every v to 0; v and the traces are 0 at the start of a sample.
Learning: theta grows by 0.5, and w += 0.01 (x - 0.4) (1 - w), clipped to [0, 1], x the input's
spike trace of 100 ms (BindsNET's own rule `DiehlAndCook`).

What differs:
- of the neurons over the threshold a random one wins, not the one furthest above it, and all of
  them raise theta: BindsNET's nodes do it so;
- in BindsNET's favour, no normalisation of weights, no labels, no read-out and no control of the
  threshold gain;
- in BindsNET's favour, the learning rule is skipped at steps without an output spike, where it
  changes nothing: as shipped it rewrites all weights 350 times a sample, which takes much
  longer than all the rest;
- in BindsNET's favour, the first sample is presented once before the clock starts.

The time is processor time (in one thread) of encoding, running and resetting, sample by sample.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
import types

import numpy as np
import torch


def skip_package_imports() -> None:
    """Make BindsNET's sub-packages importable without those that its `__init__` imports.

    That one also imports plots, data sets and game environments, and with them a dozen large
    packages, of which a simulation uses none.
    """
    package = types.ModuleType('bindsnet')
    package.__path__ = importlib.util.find_spec('bindsnet').submodule_search_locations
    sys.modules['bindsnet'] = package


skip_package_imports()

# The network before the learning rules: the two import each other.
from bindsnet.encoding import bernoulli  # noqa: E402
from bindsnet.learning import DiehlAndCook  # noqa: E402
from bindsnet.network import Network  # noqa: E402
from bindsnet.network.monitors import Monitor  # noqa: E402
from bindsnet.network.nodes import DiehlAndCookNodes, Input  # noqa: E402
from bindsnet.network.topology import Connection  # noqa: E402

SPIKE_PROBABILITY = 0.06375  # of a full pixel in one step of 1 ms
GAIN = 1.5  # gives 10 to 25 output spikes a sample of MNIST, 400 neurons and 350 steps
WEIGHT_SUM = 78.4


class WinnerResetsAll(DiehlAndCookNodes):
    """BindsNET's nodes with one spike a step, and every v set to 0 by it: lateral inhibition.

    Cheaper than an inhibitory connection, which would be computed at every step.
    """

    def forward(self, x: torch.Tensor) -> None:
        super().forward(x)
        if self.s.any():
            self.v.zero_()


class AtOutputSpikes(DiehlAndCook):
    """BindsNET's rule, computed only at the steps where it changes any weight."""

    def _connection_update(self, **kwargs) -> None:
        if self.target.s.any():
            super()._connection_update(**kwargs)


def build(inputs: int, neurons: int, timesteps: int, learning: bool) -> Network:
    """Inputs 'X', all connected to neurons 'Y', and a monitor 'Y' of their spikes."""
    network = Network(dt=1.0, learning=learning)
    network.add_layer(
        Input(n=inputs, traces=learning, traces_additive=True, tc_trace=100.0), name='X'
    )
    network.add_layer(
        WinnerResetsAll(
            n=neurons,
            thresh=GAIN * 13,
            rest=0.0,
            reset=0.0,
            refrac=0,
            tc_decay=100.0,
            theta_plus=GAIN * 0.5,
            tc_theta_decay=float('inf'),
            one_spike=True,
        ),
        name='Y',
    )
    weights = 0.3 * torch.rand(inputs, neurons)
    weights *= WEIGHT_SUM / weights.sum(dim=0)
    rule = dict(update_rule=AtOutputSpikes, nu=(0.0, 0.01), x_tar=0.4, wmin=0.0, wmax=1.0)
    network.add_connection(
        Connection(
            network.layers['X'], network.layers['Y'], w=weights, **(rule if learning else {})
        ),
        source='X',
        target='Y',
    )
    network.add_monitor(Monitor(network.layers['Y'], ['s'], time=timesteps), name='Y')
    network.train(learning)
    return network


def present(network: Network, image: np.ndarray, timesteps: int) -> tuple[float, int, int]:
    """Present one sample: processor seconds, input spikes, output spikes."""
    start = time.process_time()
    intensities = torch.from_numpy(image).float() / 255
    spikes = bernoulli(intensities, time=timesteps, dt=1.0, max_prob=SPIKE_PROBABILITY)
    network.run({'X': spikes}, time=timesteps)
    seconds = time.process_time() - start

    counts = int(spikes.sum()), int(network.monitors['Y'].get('s').sum())

    start = time.process_time()
    network.reset_state_variables()
    return seconds + time.process_time() - start, *counts


@torch.inference_mode()
def simulate(images: np.ndarray, neurons: int, timesteps: int, learning: bool) -> dict:
    """Present all images, one after another; what it took per sample."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(images.shape[1], neurons, timesteps, learning)
    present(network, images[0], timesteps)
    figures = np.array([present(network, image, timesteps) for image in images])
    seconds, input_spikes, output_spikes = figures.mean(axis=0)
    return {
        'microseconds_per_sample': 1e6 * seconds,
        'input_spikes_per_sample': input_spikes,
        'output_spikes_per_sample': output_spikes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', required=True, help='.npy file, uint8 (samples, 784)')
    parser.add_argument('--neurons', type=int, default=400)
    parser.add_argument('--timesteps', type=int, default=350, help='steps of 1 ms per sample')
    parser.add_argument('--mode', choices=('learn', 'infer'), required=True)
    arguments = parser.parse_args()
    images = np.load(arguments.images)
    figures = simulate(
        images, arguments.neurons, arguments.timesteps, learning=arguments.mode == 'learn'
    )
    print(
        json.dumps(
            {
                'simulator': f'BindsNET {importlib.metadata.version("bindsnet")} CPU',
                'mode': arguments.mode,
                'samples': len(images),
                **figures,
            }
        )
    )


if __name__ == '__main__':
    main()
