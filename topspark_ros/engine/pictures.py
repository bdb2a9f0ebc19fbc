"""What networks have in common that may see pictures, by spiking features."""

from __future__ import annotations

import numpy as np

from .configuration import FeaturesConfig
from .errors import EngineError
from .filters import TYPES, WEIGHTS, require_sound
from .kernels.seeing import Filters
from .network import C, Network, S
from .presenting import Presenter
from .values import SpikeTrain

ROUNDING = 1e-4  # by which a value that was computed may exceed 1


class PictureNetwork(Network[C, S]):
    """A network that may be shown pictures, and whose state holds the filters that see them.

    Pictures are (side * side * channels,) row by row, of uint8 or of float32 in 0 to 1.
    """

    _types = dict.fromkeys(WEIGHTS, TYPES)

    def __init__(self, config: C, present: Presenter, features: FeaturesConfig | None) -> None:
        """features: of the pictures; None: it is shown something else, and has no filters."""
        self._features = features
        super().__init__(config, present)

    def see_by(self, filters: Filters) -> None:
        """Take a copy of these filters, before anything is learned: that refers to them.

        Raises
        ------
        EngineError
            With nothing changed, where they are not for the pictures of this configuration.
        """
        if self._features is None:
            raise EngineError('filters are given, accepted are none: it is shown no pictures')
        arrays = self._state._asdict() | filters._asdict()
        self.check_layout({name: (array.dtype, array.shape) for name, array in arrays.items()})
        require_sound(filters, Filters._fields)
        copies = {name: np.array(array, order='C') for name, array in filters._asdict().items()}
        self._hold(self._state._replace(**copies))

    def reset(self) -> None:
        """Back to the untrained network of the configured seed. The filters stay."""
        if self._features is None:
            super().reset()
            return
        filters = self._filters(self._state)
        super().reset()
        self._hold(self._state._replace(**filters._asdict()))

    def _check_state(self, state: S) -> None:
        if self._features is not None:
            names = [f'state {name}' for name in Filters._fields]
            require_sound(self._filters(state), names)

    def _require_sample(self, sample: object, timesteps: int) -> tuple[np.ndarray, tuple | None]:
        if self._features is not None and isinstance(sample, SpikeTrain):
            raise EngineError('sample is a SpikeTrain, accepted by spiking features are pixels')
        return super()._require_sample(sample, timesteps)

    def _require_pixels(self, pixels: object, dimensions: int) -> np.ndarray:
        checked = super()._require_pixels(pixels, dimensions)
        return checked if self._features is None else in_shares(checked, pixels)

    def _shows(self, pixels: np.ndarray) -> np.ndarray:
        """A picture that is the same all over shows nothing."""
        if self._features is None:
            return super()._shows(pixels)
        side, channels = self._features.side, self._features.channels
        places = pixels.reshape(*pixels.shape[:-1], side**2, channels)
        return (places != places[..., :1, :]).any(axis=(-2, -1))

    @staticmethod
    def _filters(state: S) -> Filters:
        return Filters(*(getattr(state, name) for name in Filters._fields))


def in_shares(checked: np.ndarray, pixels: object) -> np.ndarray:
    """Pixels as shares of full scale. checked: the float32 copy of them, which is changed."""
    if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8:
        checked *= np.float32(1 / 255)
    elif checked.max(initial=0) > 1 + ROUNDING:
        raise EngineError(
            f'pixels has a value of {checked.max():g}, accepted is float32 of 0 to 1, or uint8'
        )
    return checked
