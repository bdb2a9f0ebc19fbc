"""Other simulators, each with the same network in a virtual environment of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_HERE = Path(__file__).resolve().parent
ENVIRONMENTS = _HERE.parent / '.peers'  # not in git

# What to install: files here, in steps, with pip's options.
_PACKAGES = {
    'brian2': [('brian2.txt',)],
    'bindsnet': [('bindsnet.txt',), ('bindsnet-nodeps.txt', '--no-deps')],
    'nir': [('nir.txt',)],
}
# In the race: how many samples are enough, and the options of each variant.
_PEERS = {
    'brian2': (1000, [('--inputs', 'poisson'), ('--inputs', 'gaps')]),
    'bindsnet': (20, [()]),
}
_VARIABLES = {
    'OMP_NUM_THREADS': '1',
    'MKL_NUM_THREADS': '1',
    'OPENBLAS_NUM_THREADS': '1',
    # glibc keeps freed memory: BindsNET learns a fifth faster without page faults.
    'MALLOC_MMAP_THRESHOLD_': str(32 << 20),
    'MALLOC_TRIM_THRESHOLD_': str(256 << 20),
}
_SHOWN_ERROR_LINES = 15


class PeerError(RuntimeError):
    """A peer that cannot be installed or run: its name and the end of what it said."""


def race(
    images: np.ndarray,
    neurons: int,
    timesteps: int,
    modes=('learn', 'infer'),
    folder: Path = ENVIRONMENTS,
) -> list[dict]:
    """Time every variant of every peer in every mode, one after another, each in one thread.

    images: (samples, inputs) uint8; a slow peer gets only the first ones.
    neurons, timesteps: of the network; a timestep is 1 ms.
    modes: of 'learn' and 'infer'.
    folder: for the virtual environments, made when they are missing or when pins have changed.

    Returns for each variant and mode: simulator, mode, samples, microseconds_per_sample,
    input_spikes_per_sample, output_spikes_per_sample. Raises PeerError.
    """
    results = []
    for name, (samples, variants) in _PEERS.items():
        python = install(name, folder)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / 'images.npy'
            np.save(file, images[:samples])
            for options, mode in itertools.product(variants, modes):
                output = _run(
                    name,
                    python,
                    '-I',
                    _HERE / f'{name}_network.py',
                    '--images',
                    file,
                    '--neurons',
                    neurons,
                    '--timesteps',
                    timesteps,
                    '--mode',
                    mode,
                    *options,
                )
                results.append(json.loads(output.splitlines()[-1]))
    return results


def simulate_spikes(cases: Path, folder: Path = ENVIRONMENTS) -> None:
    """Let Brian2 simulate the cases of the cross-check that lie in `cases`; see brian2_spikes."""
    _run('brian2', install('brian2', folder), '-I', _HERE / 'brian2_spikes.py', cases)


def read_nir(folder: Path, environments: Path = ENVIRONMENTS) -> None:
    """Let readers of NIR run the graph that lies in `folder`; see nir_spikes."""
    _run('nir', install('nir', environments), '-I', _HERE / 'nir_spikes.py', folder)


def measure_neurobench(folder: Path, environments: Path = ENVIRONMENTS) -> None:
    """Let NeuroBench measure the graph that lies in `folder`; see neurobench_metrics."""
    _run(
        'nir',
        install('nir', environments),
        '-Es',
        _HERE / 'neurobench_metrics.py',
        folder,
    )


def install(name: str, folder: Path = ENVIRONMENTS) -> Path:
    """Make the virtual environment of a peer unless it is there already; its interpreter."""
    steps = _PACKAGES[name]
    wanted = sys.version + '\n' + ''.join((_HERE / file).read_text() for file, *_ in steps)
    environment = Path(folder).resolve() / name
    python, marker = environment / 'bin' / 'python', environment / 'installed.txt'
    if not marker.exists() or marker.read_text() != wanted:
        _run(name, sys.executable, '-I', '-m', 'venv', '--clear', environment)
        for file, *options in steps:
            _run(
                name,
                python,
                '-I',
                '-m',
                'pip',
                'install',
                '--quiet',
                '--disable-pip-version-check',
                *options,
                '--requirement',
                _HERE / file,
            )
        marker.write_text(wanted)
    return python


def _run(name: str, *command: object) -> str:
    """Standard output of a command; `-I` in it keeps a sourced ROS out of sys.path."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env={**os.environ, **_VARIABLES}, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_SHOWN_ERROR_LINES:]
        raise PeerError(
            '\n'.join(
                [f'peer {name}: {" ".join(words)} ended with exit code {done.returncode}', *said]
            )
        )
    return done.stdout
