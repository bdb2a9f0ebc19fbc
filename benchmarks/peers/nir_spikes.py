"""A NIR graph in other simulators, by their own readers; run by benchmarks.exchange.

    python -I nir_spikes.py FOLDER

FOLDER has graph.nir and spikes.npy, (samples, timesteps, inputs) bool. Writes READER.npz for each
reader: spikes, (samples, timesteps, neurons) bool, and scores, (samples, classes), what is read out
of all steps.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path

import nir
import numpy as np
import torch

STEP_S = 1e-4  # that snnTorch takes for a step, whatever the graph says


def snntorch(path: Path) -> torch.nn.Module:
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it scales
        return import_from_nir(nir.read(path))


def norse(path: Path) -> torch.nn.Module:
    from norse.torch import from_nir

    return from_nir(nir.read(path), dt=STEP_S)


def run(network: torch.nn.Module, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Output spikes, and scores."""
    heard: dict[str, list[np.ndarray]] = {'excitatory_lif': [], 'readout': []}
    for name, outputs in heard.items():

        def listen(module: torch.nn.Module, given: tuple, sent: object, outputs=outputs) -> None:
            first = sent[0] if isinstance(sent, tuple) else sent  # a neuron's state is the second
            outputs.append(first.detach().numpy().copy())

        # Of a graph with a cycle Norse's executor returns another node than the output.
        getattr(network, name).register_forward_hook(listen)
    state = None
    with torch.no_grad():
        for step in spikes.swapaxes(0, 1):
            _, state = network(torch.from_numpy(step.astype(np.float32)), state)
    raster, read = (np.stack(outputs, axis=1) for outputs in heard.values())
    return raster > 0, read.sum(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='holds the graph and the input spikes')
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    spikes = np.load(folder / 'spikes.npy')
    for reader in (snntorch, norse):
        raster, scores = run(reader(folder / 'graph.nir'), spikes)
        np.savez(folder / f'{reader.__name__}.npz', spikes=raster, scores=scores)


if __name__ == '__main__':
    main()
