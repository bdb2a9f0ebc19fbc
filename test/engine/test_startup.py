"""Machine code is kept from one start to the next."""

import os
import subprocess
import sys

SCRIPT = """
from topspark_ros.engine import NetworkConfig, compilations, create_network, warm_up
assert compilations() == 0
network = create_network(NetworkConfig(inputs=4, neurons=2))
warm_up(network)
print(compilations())
"""


def compiled(cache) -> int:
    """Kernels that a fresh process compiles to warm up a network."""
    environment = {**os.environ, 'NUMBA_CACHE_DIR': str(cache)}
    process = subprocess.run(
        [sys.executable, '-c', SCRIPT], env=environment, check=True, capture_output=True, text=True
    )
    return int(process.stdout)


def test_second_start_compiles_nothing(tmp_path):
    assert compiled(tmp_path) > 0
    assert list(tmp_path.rglob('*.nbc'))
    assert compiled(tmp_path) == 0
