"""The spiking network engine: arrays and frozen configurations in, arrays out. No ROS.

    config = NetworkConfig(inputs=784, neurons=400)
    network = create_network(config)
    warm_up(network)
    response = network.learn(pixels, timesteps=16, label=7)
"""

from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .configuration import MAX_CLASSES, MAX_TIMESTEPS, RULES, NetworkConfig, input_rate
from .errors import CheckpointError, EngineError
from .factory import create_network, warm_up
from .network import Network, OperationCounts, Response

__all__ = [
    'MAX_CLASSES',
    'MAX_TIMESTEPS',
    'RULES',
    'Checkpoint',
    'CheckpointError',
    'EngineError',
    'Network',
    'NetworkConfig',
    'OperationCounts',
    'Response',
    'create_network',
    'input_rate',
    'load_checkpoint',
    'save_checkpoint',
    'warm_up',
]
