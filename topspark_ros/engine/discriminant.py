"""The networks that a linear discriminant reads out: of spiking features, and of an encoder's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .configuration import DiscriminantConfig, EncodedConfig
from .errors import EngineError
from .filters import PACKAGED, WEIGHTS, in_float32, load_filters
from .kernels.discriminant import (
    EXEMPLAR_STEP,
    EXEMPLARS,
    FRAME_SCATTER,
    FRAMES_AT_FIRST,
    LOOKS,
    MOST_STEPS,
    NOVELTY_EVERY,
    DiscriminantState,
    present_discriminant,
)
from .kernels.seeing import Filters
from .network import C, Layout
from .pictures import PictureNetwork, in_shares
from .values import SpikeTrain

VARIANCE_AT_FIRST = 0.15  # of a feature, before any was seen


class LinearDiscriminant(PictureNetwork[C, DiscriminantState]):
    """A linear discriminant learns what features of a frame stand for, see kernels.discriminant.

    A frame with a label is learned at once and exactly, in whatever order the classes come; one
    without teaches nothing. What is learned does not depend on T.
    """

    _per_class = dict(means=1, weights=1, overlaps=1, class_frames=0, exemplars=1)
    _signed = ('means', 'weights', 'overlaps', 'precision', *WEIGHTS)

    @property
    def recruited_neurons(self) -> int:
        """Of the read-out, one for each class that was seen."""
        return int((self._state.class_frames > 0).sum())

    @property
    def labelled_neurons(self) -> int:
        return self.recruited_neurons

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """As of Network. What novelty needs may be missing: until checkpoints of version 7 it was
        another. The means of the classes are their exemplars then."""
        if 'exemplars' not in state and {'means', 'precision'} <= set(state):
            state = _without_former(state) | dict(
                scatter=_scatter(state['precision']), exemplars=_exemplars(state['means'])
            )
        super().restore(state)

    def check_layout(self, layout: Layout) -> None:
        if 'exemplars' not in layout and 'class_frames' in layout:
            scatter, exemplars = self._state.scatter, self._state.exemplars
            _, classes = layout['class_frames']
            shape = (LOOKS, *classes, *exemplars.shape[2:])
            layout = _without_former(layout) | dict(
                scatter=(scatter.dtype, scatter.shape), exemplars=(exemplars.dtype, shape)
            )
        super().check_layout(layout)

    def raster(self, sample: np.ndarray | SpikeTrain, timesteps: int) -> SpikeTrain:
        raise EngineError('the discriminant has no raster: its filters fire currents, not spikes')

    def _require_sample(self, sample: object, timesteps: int) -> tuple[np.ndarray, tuple | None]:
        if isinstance(sample, SpikeTrain):
            raise EngineError('sample is a SpikeTrain, accepted by the discriminant are pixels')
        return super()._require_sample(sample, timesteps)

    def _check_state(self, state: DiscriminantState) -> None:
        super()._check_state(state)
        if (state.precision.diagonal() <= 0).any():
            raise EngineError('state precision has a diagonal of 0 or less, accepted is above 0')
        if (state.scatter <= 0).any():
            raise EngineError('state scatter has a 0, accepted is above 0')
        unseen = state.class_frames == 0
        for name in ('means', 'weights'):
            if getattr(state, name)[:, unseen].any():
                raise EngineError(f'state {name} are for classes that were never seen')

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> DiscriminantState:
        raise EngineError('the discriminant is not quantised: rounded weights lose classes')


class DiscriminantNetwork(LinearDiscriminant[DiscriminantConfig]):
    """Spiking filters see what is where, and a linear discriminant learns what that stands for.

    Features: kernels.features. Their filters were learned without labels and stay: what is learned
    refers to them. Noise is taken out of pictures first.

    Samples are pictures, (side * side * channels,) row by row, of uint8 or of float32 in 0 to 1.
    """

    def __init__(self, config: DiscriminantConfig) -> None:
        present = _FeaturePresenter(config.side, config.channels, config.cells, config.clutter)
        super().__init__(config, present, config)

    def receptive_fields(self) -> np.ndarray:
        """The filters that see contrast, brighter less darker, (filters, 25) float32."""
        filters = self._state.edge_filters.astype(np.float32)
        brighter, darker = np.split(filters.T, 2, axis=1)
        return brighter - darker

    def experience(self) -> np.ndarray:
        """The same for all filters."""
        return np.zeros(self._state.edge_filters.shape[1])

    @staticmethod
    def _initial_state(config: DiscriminantConfig) -> DiscriminantState:
        return _untaught(config.features, load_filters(PACKAGED, config))


class EncodedNetwork(LinearDiscriminant[EncodedConfig]):
    """A linear discriminant learns what the features of an encoder stand for.

    Samples are features, (inputs,) float32 in 0 to 1, or uint8. Their spikes: kernels.encoded.
    """

    def __init__(self, config: EncodedConfig) -> None:
        super().__init__(config, _FeaturePresenter(1, config.inputs, 1, 0.0), None)

    def receptive_fields(self) -> np.ndarray:
        """None: the encoder has them."""
        return np.zeros((0, self.config.inputs), np.float32)

    def experience(self) -> np.ndarray:
        """Of no filter."""
        return np.zeros(0)

    def _require_pixels(self, pixels: object, dimensions: int) -> np.ndarray:
        return in_shares(super()._require_pixels(pixels, dimensions), pixels)

    @staticmethod
    def _initial_state(config: EncodedConfig) -> DiscriminantState:
        none = np.zeros((0, 0), np.float32)
        return _untaught(config.features, Filters(none, none.copy(), np.zeros(0, np.float32)))


class _FeaturePresenter:
    """Presents pictures, or an encoder's features as pictures of one pixel."""

    def __init__(self, *settings: float) -> None:
        """settings: side, channels, cells and clutter_scatter, as of `present_discriminant`."""
        self._settings = settings

    def __call__(
        self,
        state: Any,
        pixels: np.ndarray,
        spikes: tuple[np.ndarray, np.ndarray] | None,
        timesteps: int,
        *rest: Any,
    ) -> None:
        present_discriminant(*self._settings, *in_float32(state), pixels, timesteps, *rest)


def first_scatter(size: int) -> float:
    """Of each of so many features before any was seen."""
    return FRAMES_AT_FIRST * FRAME_SCATTER * size * VARIANCE_AT_FIRST


def _untaught(size: int, filters: Filters) -> DiscriminantState:
    """Of so many features, seen by these filters."""
    novel = len(range(0, size, NOVELTY_EVERY))
    return DiscriminantState(
        **filters._asdict(),
        means=np.zeros((LOOKS, 0, size)),
        weights=np.zeros((LOOKS, 0, size)),
        overlaps=np.zeros((3, 0)),
        precision=np.eye(size) / first_scatter(size),
        class_frames=np.zeros(0, np.int64),
        scatter=np.full(novel, first_scatter(size)),
        exemplars=np.zeros((LOOKS, 0, novel, EXEMPLARS), np.int8),
    )


def whole_precision(precision: np.ndarray) -> np.ndarray:
    """Both halves of what the state has one half of, see DiscriminantState."""
    return np.triu(precision) + np.triu(precision, 1).T


def _without_former(state: dict[str, Any]) -> dict[str, Any]:
    """Without what novelty needed until checkpoints of version 7."""
    return {name: each for name, each in state.items() if name != 'novelty_precision'}


def _scatter(precision: np.ndarray) -> np.ndarray:
    """Of the features that novelty is of, (K,), of the precision of all as the state has it."""
    try:
        return np.linalg.inv(whole_precision(precision)).diagonal()[::NOVELTY_EVERY]
    except (np.linalg.LinAlgError, ValueError):
        raise EngineError('state precision has no inverse, accepted is that of a scatter') from None


def _exemplars(means: np.ndarray) -> np.ndarray:
    """Of each class its mean alone, (L, C, K, N) int8."""
    with np.errstate(invalid='ignore'):  # what is not finite is refused later
        steps = np.rint(means[..., ::NOVELTY_EVERY] / EXEMPLAR_STEP)
        steps = np.clip(steps, 0, MOST_STEPS).astype(np.int8)
    return np.repeat(steps[..., np.newaxis], EXEMPLARS, axis=-1)
