"""NeuroBench's metrics of a NIR graph in snnTorch; run by benchmarks.neurobench.

    python -I neurobench_metrics.py FOLDER

FOLDER has graph.nir and spikes.npy, (samples, timesteps, inputs) bool. Writes metrics.json: by
name, of NeuroBench.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
from neurobench.models import SNNTorchModel
from nir_spikes import snntorch
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='holds the graph and the input spikes')
    folder = parser.parse_args().folder
    spikes = torch.from_numpy(np.load(folder / 'spikes.npy').astype(np.float32))
    data = TensorDataset(spikes, torch.zeros(len(spikes)))
    benchmark = Benchmark(
        SNNTorchModel(snntorch(folder / 'graph.nir')),
        DataLoader(data, batch_size=len(data)),
        [],
        [],
        [[Footprint, ConnectionSparsity], [ActivationSparsity, SynapticOperations]],
    )
    with torch.no_grad():
        found = benchmark.run(quiet=True)
    (folder / 'metrics.json').write_text(json.dumps(found, default=float))


if __name__ == '__main__':
    main()
