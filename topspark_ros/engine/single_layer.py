"""What the recruiting and the STDP networks share: one layer, and what it is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from .configuration import DiscriminantConfig, FeaturesConfig, NetworkConfig
from .discriminant import ROUNDING, load_filters
from .errors import EngineError
from .kernels.prototypes import RecruitingState
from .kernels.seeing import Filters
from .kernels.stdp import StdpState
from .network import InferenceNetwork, Network, S
from .presenting import FeaturePresenter, Presenter, RatePresenter
from .values import SpikeTrain

# The filters are a part of what was learned: that means nothing without them.
RecruitingOnFeatures = namedtuple(  # type: ignore[misc]
    'RecruitingOnFeatures', Filters._fields + RecruitingState._fields
)
StdpOnFeatures = namedtuple(  # type: ignore[misc]
    'StdpOnFeatures', Filters._fields + StdpState._fields
)
ON_FEATURES: dict[type, Any] = {RecruitingState: RecruitingOnFeatures, StdpState: StdpOnFeatures}


class SingleLayer(Network[NetworkConfig, S]):
    """A layer that is shown pixels, an encoder's features, or spiking features of pictures.

    Of the latter, samples are (side * side * channels,) row by row, of uint8 or of float32 in 0 to
    1. The filters come with the package and stay.
    """

    def __init__(self, config: NetworkConfig, kernel: Callable, settings: tuple) -> None:
        """kernel, settings: of the rule, as of RatePresenter."""
        self._sees_pictures = isinstance(config.encoder, FeaturesConfig)
        present: Presenter = RatePresenter(config, kernel, settings)
        if isinstance(config.encoder, FeaturesConfig):
            present = FeaturePresenter(config.encoder, present)
        super().__init__(config, present)

    def quantised(self) -> InferenceNetwork[NetworkConfig, S]:
        if self._sees_pictures:
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
        filters = load_filters(DiscriminantConfig(**asdict(config.encoder)))
        return ON_FEATURES[type(layer)](*filters, *layer)

    def _check_state(self, state: Any) -> None:
        if self._sees_pictures and (state.usual <= 0).any():
            raise EngineError('state usual is 0, accepted is above 0')

    def _require_sample(self, sample: object, timesteps: int) -> tuple[np.ndarray, tuple | None]:
        if self._sees_pictures and isinstance(sample, SpikeTrain):
            raise EngineError('sample is a SpikeTrain, accepted by spiking features are pixels')
        return super()._require_sample(sample, timesteps)

    def _require_pixels(self, pixels: object, dimensions: int) -> np.ndarray:
        checked = super()._require_pixels(pixels, dimensions)
        if not self._sees_pictures:
            return checked
        if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8:
            checked *= np.float32(1 / 255)
        elif checked.max(initial=0) > 1 + ROUNDING:
            raise EngineError(
                f'pixels has a value of {checked.max():g}, accepted is float32 of 0 to 1, or uint8'
            )
        return checked

    def _shows(self, pixels: np.ndarray) -> np.ndarray:
        """A picture that is the same all over shows nothing."""
        if not isinstance(self._config.encoder, FeaturesConfig):
            return super()._shows(pixels)
        places = pixels.reshape(*pixels.shape[:-1], -1, self._config.encoder.channels)
        return (places != places[..., :1, :]).any(axis=(-2, -1))
