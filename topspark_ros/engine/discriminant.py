"""The networks that a linear discriminant reads out: of spiking features, and of an encoder's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .configuration import DiscriminantConfig, EncodedConfig
from .errors import EngineError
from .kernels.discriminant import LOOKS, DiscriminantState, present_discriminant
from .network import C, Network
from .values import SpikeTrain

FILTERS = Path(__file__).with_name('filters.npz')  # python -m benchmarks.filters
# Scatter that every feature is taken to have before any was seen, as of so many frames, each of
# LOOKS looks.
FRAMES_AT_FIRST = 1 / 16  # for each feature
VARIANCE_AT_FIRST = 0.15  # of a feature
ROUNDING = 1e-4  # by which a value that was computed may exceed 1


class LinearDiscriminant(Network[C, DiscriminantState]):
    """A linear discriminant learns what features of a frame stand for, see kernels.discriminant.

    A frame with a label is learned at once and exactly, in whatever order the classes come; one
    without teaches nothing. What is learned does not depend on T.
    """

    _per_class = dict(means=1, weights=1, overlaps=1, class_frames=0)
    _signed = ('means', 'weights', 'overlaps', 'precision')

    def __init__(self, config: C, side: int, channels: int, cells: int, clutter: float) -> None:
        super().__init__(config, _FeaturePresenter(side, channels, cells, clutter))

    @property
    def recruited_neurons(self) -> int:
        """Of the read-out, one for each class that was seen."""
        return int((self._state.class_frames > 0).sum())

    @property
    def labelled_neurons(self) -> int:
        return self.recruited_neurons

    def raster(self, sample: np.ndarray | SpikeTrain, timesteps: int) -> SpikeTrain:
        raise EngineError('the discriminant has no raster: its filters fire currents, not spikes')

    def _require_sample(self, sample: object, timesteps: int) -> tuple[np.ndarray, tuple | None]:
        if isinstance(sample, SpikeTrain):
            raise EngineError('sample is a SpikeTrain, accepted by the discriminant are pixels')
        return super()._require_sample(sample, timesteps)

    def _require_pixels(self, pixels: object, dimensions: int) -> np.ndarray:
        checked = super()._require_pixels(pixels, dimensions)
        if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8:
            checked *= np.float32(1 / 255)
        elif checked.max(initial=0) > 1 + ROUNDING:
            raise EngineError(
                f'pixels has a value of {checked.max():g}, accepted is float32 of 0 to 1, or uint8'
            )
        return checked

    def _check_state(self, state: DiscriminantState) -> None:
        if (state.precision.diagonal() <= 0).any():
            raise EngineError('state precision has a diagonal of 0 or less, accepted is above 0')
        if (state.usual <= 0).any():
            raise EngineError('state usual is 0, accepted is above 0')
        unseen = state.class_frames == 0
        for name in ('means', 'weights'):
            if getattr(state, name)[:, unseen].any():
                raise EngineError(f'state {name} are for classes that were never seen')

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> DiscriminantState:
        raise EngineError('the discriminant is not quantised: rounded weights lose classes')


class DiscriminantNetwork(LinearDiscriminant[DiscriminantConfig]):
    """Spiking filters see what is where, and a linear discriminant learns what that stands for.

    Features: kernels.features. Their filters come with the package, learned without labels, and
    stay: what is learned refers to them. Noise is taken out of pictures first.

    Samples are pictures, (side * side * channels,) row by row, of uint8 or of float32 in 0 to 1.
    """

    def __init__(self, config: DiscriminantConfig) -> None:
        super().__init__(config, config.side, config.channels, config.cells, config.clutter)

    def receptive_fields(self) -> np.ndarray:
        """The filters that see contrast, brighter less darker, (filters, 25) float32."""
        brighter, darker = np.split(self._state.edge_filters.T, 2, axis=1)
        return brighter - darker

    def experience(self) -> np.ndarray:
        """The same for all filters."""
        return np.zeros(self._state.edge_filters.shape[1])

    def _shows(self, pixels: np.ndarray) -> np.ndarray:
        """What is the same all over shows nothing."""
        side, channels = self.config.side, self.config.channels
        places = pixels.reshape(*pixels.shape[:-1], side**2, channels)
        return (places != places[..., :1, :]).any(axis=(-2, -1))

    @staticmethod
    def _initial_state(config: DiscriminantConfig) -> DiscriminantState:
        return _untaught(config.features, *load_filters(config))


class EncodedNetwork(LinearDiscriminant[EncodedConfig]):
    """A linear discriminant learns what the features of an encoder stand for.

    Samples are features, (inputs,) float32 in 0 to 1, or uint8. Their spikes: kernels.encoded.
    """

    def __init__(self, config: EncodedConfig) -> None:
        super().__init__(config, side=1, channels=config.inputs, cells=1, clutter=0.0)

    def receptive_fields(self) -> np.ndarray:
        """None: the encoder has them."""
        return np.zeros((0, self.config.inputs), np.float32)

    def experience(self) -> np.ndarray:
        """Of no filter."""
        return np.zeros(0)

    @staticmethod
    def _initial_state(config: EncodedConfig) -> DiscriminantState:
        none = np.zeros((0, 0), np.float32)
        return _untaught(config.features, none, none.copy(), np.zeros(0, np.float32))


class _FeaturePresenter:
    """Presents pictures, or an encoder's features as pictures of one pixel."""

    def __init__(self, *settings: float) -> None:
        """settings: side, channels and cells, as of `present_discriminant`, and clutter."""
        self._settings = settings

    def __call__(
        self,
        state: Any,
        pixels: np.ndarray,
        spikes: tuple[np.ndarray, np.ndarray] | None,
        timesteps: int,
        *rest: Any,
    ) -> None:
        present_discriminant(*self._settings, *state, pixels, timesteps, *rest)


def _untaught(
    size: int, edges: np.ndarray, surfaces: np.ndarray, usual: np.ndarray
) -> DiscriminantState:
    """Of so many features, seen by these filters."""
    scatter = FRAMES_AT_FIRST * LOOKS * size * VARIANCE_AT_FIRST
    return DiscriminantState(
        edge_filters=edges,
        surface_filters=surfaces,
        usual=usual,
        means=np.zeros((LOOKS, 0, size)),
        weights=np.zeros((LOOKS, 0, size)),
        overlaps=np.zeros((3, 0)),
        precision=np.eye(size) / scatter,
        class_frames=np.zeros(0, np.int64),
    )


def load_filters(config: DiscriminantConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The package's filters for edges and surfaces, and their usual currents; as of a state."""
    kind = 'grey' if config.channels == 1 else 'colour'
    with np.load(FILTERS) as data:
        edges = data[f'{kind}_edges'][:, : config.edge_filters]
        surfaces = data[f'{kind}_surfaces'][:, : config.surface_filters]
        usual = data[f'{kind}_usual']
    return np.ascontiguousarray(edges), np.ascontiguousarray(surfaces), usual
