"""Making a network of a configuration and compiling what it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .configuration import RULES, AnyConfig, DiscriminantConfig, EncodedConfig, NetworkConfig
from .discriminant import DiscriminantNetwork, EncodedNetwork
from .kernels.seeing import Filters
from .network import Network
from .pictures import PictureNetwork
from .recruiting import RecruitingNetwork
from .stdp import StdpNetwork

NETWORKS = {rule: StdpNetwork for rule in RULES} | {'recruiting': RecruitingNetwork}


def create_network(config: AnyConfig, filters: Filters | None = None) -> Network:
    """An untrained network.

    filters: of spiking features, as `load_filters` gives them; None: those of the package. They are
    a part of the state and stay: a network that is resumed brings its own.

    EngineError where the configuration has no spiking features, or others.
    """
    network = _create(config)
    if filters is not None:
        network.see_by(filters)
    return network


def _create(config: AnyConfig) -> PictureNetwork:
    if isinstance(config, DiscriminantConfig):
        return DiscriminantNetwork(config)
    if isinstance(config, EncodedConfig):
        return EncodedNetwork(config)
    return NETWORKS[config.rule](config)


def warm_up(network: Network) -> None:
    """Compile, or load from the cache on disk, every kernel that `network` uses.

    Takes seconds the first time on a machine. Kernels do not depend on sizes, so a small twin
    is run; `network` itself is not touched.
    """
    config = network.config
    if isinstance(config, NetworkConfig):
        config = replace(config, neurons=2)
        if isinstance(config.encoder, str):
            config = replace(config, inputs=4)
    elif isinstance(config, EncodedConfig):
        config = replace(config, inputs=4)
    twin = create_network(config)
    sample = np.ones(config.inputs, np.float32)
    twin.learn(sample, 1, label=0)
    twin.infer(sample, 1)
