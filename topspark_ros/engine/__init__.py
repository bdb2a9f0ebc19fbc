"""The spiking network engine: arrays and frozen configurations in, arrays out. No ROS.

config = NetworkConfig(inputs=784, neurons=400)
network = create_network(config)
warm_up(network)
response = network.learn(pixels, timesteps=16, label=7)
"""

from .checkpoint import Checkpoint, check_writable, load_checkpoint, save_checkpoint
from .configuration import (
    CODINGS,
    MAX_CLASSES,
    MAX_ENCODED,
    MAX_TIMESTEPS,
    NORMALISATIONS,
    RULES,
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    FeaturesConfig,
    NetworkConfig,
    NeuronConfig,
    input_rate,
)
from .errors import CheckpointError, EngineError, ExchangeError, MergingError
from .exchange import Time, export_nir, import_nir
from .factory import create_network, warm_up
from .filters import load_filters
from .kernels.compilation import compilations
from .kernels.seeing import Filters
from .merging import merge_networks
from .network import InferenceNetwork, Network
from .presenting import input_spike_counts, input_spikes
from .progress import report_compilation
from .values import OperationCounts, Response, Responses, SpikeTrain

__all__ = [
    'CODINGS',
    'MAX_CLASSES',
    'MAX_ENCODED',
    'MAX_TIMESTEPS',
    'NORMALISATIONS',
    'RULES',
    'AnyConfig',
    'Checkpoint',
    'CheckpointError',
    'DiscriminantConfig',
    'EncodedConfig',
    'EngineError',
    'ExchangeError',
    'FeaturesConfig',
    'Filters',
    'InferenceNetwork',
    'MergingError',
    'Network',
    'NetworkConfig',
    'NeuronConfig',
    'OperationCounts',
    'Response',
    'Responses',
    'SpikeTrain',
    'Time',
    'check_writable',
    'compilations',
    'create_network',
    'export_nir',
    'import_nir',
    'input_rate',
    'input_spike_counts',
    'input_spikes',
    'load_checkpoint',
    'load_filters',
    'merge_networks',
    'save_checkpoint',
    'report_compilation',
    'warm_up',
]
