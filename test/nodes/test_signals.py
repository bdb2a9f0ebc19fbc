"""Ctrl-C, or SIGTERM, ends a node at once and well, whatever it is about."""

from __future__ import annotations

import signal
from pathlib import Path

from rig import msg  # noqa: F401  skips without ROS

import pytest

LEARNER = 'snn_learner'
NODES = (
    'battery_simulator',
    'dataset_camera',
    'event_simulator',
    'gazebo_battery',
    'patrol',
    'power_budget_schedule',
    'snn_learner',
    'timestep_controller',
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def catches(process, number: int) -> bool:
    """Whether a signal has a handler of the process: Python has none of its own for SIGTERM."""
    for line in Path(f'/proc/{process.pid}/status').read_text().splitlines():
        if line.startswith('SigCgt:'):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def has_loaded(process, library: str) -> bool:
    return library in Path(f'/proc/{process.pid}/maps').read_text()


# Each holds from some moment of the start on, in this order.
MOMENTS = {
    'the program has begun': lambda process: catches(process, signal.SIGTERM),
    'numpy is being imported': lambda process: has_loaded(process, '_multiarray_umath'),
    'ROS is being imported': lambda process: has_loaded(process, 'librcl.so'),
    'DDS has begun': lambda process: has_loaded(process, 'libfastrtps.so'),
    'it is active': lambda process: 'activate: done' in process.log,
}


def is_in_graph(rig, node: str) -> bool:
    return (node, rig.namespace) in rig.node.get_node_names_and_namespaces()


def ends_well(process, number: int) -> None:
    process.signal(number)
    code = process.wait()
    assert code == 0, f'exit code {code}\n{process.log}'
    assert 'Traceback' not in process.log and 'Error' not in process.log


@pytest.mark.parametrize('moment', MOMENTS)
@pytest.mark.parametrize('number', SIGNALS)
def test_while_it_starts(rig, moment, number):
    process = rig.start('timestep_controller')
    rig.wait_for(lambda: MOMENTS[moment](process), moment)
    ends_well(process, number)


@pytest.mark.parametrize('node', NODES)
def test_every_node(rig, node):
    """At a moment of its own, each after the one before."""
    moments = list(MOMENTS.values())
    process = rig.start(node)
    rig.wait_for(lambda: moments[NODES.index(node) % (len(moments) - 1)](process))
    ends_well(process, signal.SIGINT)


@pytest.mark.parametrize('number', SIGNALS)
@pytest.mark.parametrize(
    'node, parameters', [(LEARNER, {}), (LEARNER, {'input': 'events'}), ('event_simulator', {})]
)
def test_while_kernels_are_compiled(rig, tmp_path, monkeypatch, node, parameters, number):
    monkeypatch.setenv('NUMBA_CACHE_DIR', str(tmp_path / 'no kernels yet'))
    process = rig.start(node, **parameters)
    rig.wait_for(lambda: 'compiling kernels' in process.log and is_in_graph(rig, node))
    ends_well(process, number)
    # It has said so: a process that dies without a word is in the graph for 20 s more.
    rig.wait_for(lambda: not is_in_graph(rig, node), 'it leaves the graph', 15.0)
    assert 'kernels ready' not in process.log  # it was not waited for


def test_asked_twice(rig):
    process = rig.start(LEARNER)
    rig.wait_until_active(LEARNER)
    process.signal(signal.SIGTERM)
    ends_well(process, signal.SIGINT)
