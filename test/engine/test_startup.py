"""Machine code is kept from one start to the next."""

import subprocess
import sys

SCRIPT = """
from topspark_ros.engine import NetworkConfig, compilations, create_network, warm_up
assert compilations() == 0
network = create_network(NetworkConfig(inputs=4, neurons=2))
warm_up(network)
print(compilations())
"""


def compiled() -> int:
    """Kernels that a fresh process compiles to warm up a network."""
    process = subprocess.run(
        [sys.executable, '-c', SCRIPT], check=True, capture_output=True, text=True
    )
    return int(process.stdout)


def test_second_start_compiles_nothing():
    compiled()  # all of them, unless this is not the first start of all
    assert compiled() == 0
