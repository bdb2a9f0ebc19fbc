"""What the recruiting and the STDP networks share: one layer, and what it is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from .configuration import FeaturesConfig, NetworkConfig
from .errors import EngineError
from .filters import PACKAGED, load_filters
from .kernels.prototypes import RecruitingState
from .kernels.seeing import Filters
from .kernels.stdp import StdpState
from .network import InferenceNetwork, S
from .pictures import PictureNetwork
from .presenting import FeaturePresenter, Presenter, RatePresenter

# The filters are a part of what was learned: that means nothing without them.
RecruitingOnFeatures = namedtuple(  # type: ignore[misc]
    'RecruitingOnFeatures', Filters._fields + RecruitingState._fields
)
StdpOnFeatures = namedtuple(  # type: ignore[misc]
    'StdpOnFeatures', Filters._fields + StdpState._fields
)
ON_FEATURES: dict[type, Any] = {RecruitingState: RecruitingOnFeatures, StdpState: StdpOnFeatures}


class SingleLayer(PictureNetwork[NetworkConfig, S]):
    """A layer that is shown pixels, an encoder's features, or spiking features of pictures."""

    def __init__(self, config: NetworkConfig, kernel: Callable, settings: tuple) -> None:
        """kernel, settings: of the rule, as of RatePresenter."""
        features = config.encoder if isinstance(config.encoder, FeaturesConfig) else None
        present: Presenter = RatePresenter(config, kernel, settings)
        if features is not None:
            present = FeaturePresenter(features, present)
        super().__init__(config, present, features)

    def quantised(self) -> InferenceNetwork[NetworkConfig, S]:
        if self._features is not None:
            raise EngineError('a layer on spiking features is not quantised, one on pixels is')
        return super().quantised()

    @staticmethod
    @abstractmethod
    def _untaught(config: NetworkConfig) -> Any:
        """The state of the layer alone."""

    @classmethod
    def _initial_state(cls, config: NetworkConfig) -> Any:
        layer = cls._untaught(config)
        if not isinstance(config.encoder, FeaturesConfig):
            return layer
        filters = load_filters(PACKAGED, config.encoder)
        return ON_FEATURES[type(layer)](*filters, *layer)
