"""The margins of early exit at each T of a profile, in pieces for the runner."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from topspark_ros import engine
from topspark_ros.engine import Network, create_network

from . import early_exit, experiments, neurobench
from .early_exit import calibrate_margin, calibrate_training_margin, fold
from .experiments import Data, Setting, seeded, train
from .running import Work, packed, source_digest, unpacked

Advance = Callable[[float], None]
State = dict[str, np.ndarray]  # of a network


class TrainingMargin(NamedTuple):
    """One for training. settings, folds, max_loss: as of `calibrate_training_margin`."""

    settings: tuple[Setting, ...]
    folds: int
    max_loss: float


class HeldBack(NamedTuple):
    """A network that was trained by a setting with a fold held back, whose number is its seed."""

    setting: Setting
    number: int


class InferenceMargin(NamedTuple):
    """One for inference, of `folds` networks of HeldBack. timesteps, max_loss: as of
    `calibrate_margin`."""

    setting: Setting
    folds: int
    timesteps: int
    max_loss: float


def training_margins(data: Data) -> Work[TrainingMargin, float]:
    """Shared with workers: the data."""
    return _margins(data, _training_margins)


def held_back_networks(data: Data) -> Work[HeldBack, State]:
    """Shared with workers: the data."""
    return Work(
        run=_held_back,
        source=_source,
        identity=_identity_with(data),
        encode=packed,
        decode=lambda content: unpacked(content)[1],
        suffix='.npz',
    )


def inference_margins(data: Data) -> Work[InferenceMargin, float]:
    """Shared with workers: the data, and the states of the networks in the order of the folds."""
    return _margins(data, _inference_margins)


def _margins(data: Data, run: Callable[..., list[float]]) -> Work[Any, float]:
    return Work(
        run=run,
        source=_source,
        identity=_identity_with(data),
        encode=_encode_margin,
        decode=_decode_margin,
        suffix='.json',
    )


def _training_margins(
    pieces: Sequence[TrainingMargin], advance: Advance, data: Data
) -> list[float]:
    return [
        calibrate_training_margin(piece.settings, data, piece.folds, piece.max_loss)
        for piece in pieces
    ]


def _held_back(pieces: Sequence[HeldBack], advance: Advance, data: Data) -> list[State]:
    return [
        train(piece.setting, fold(data, piece.number), piece.number)[0].state() for piece in pieces
    ]


def _inference_margins(
    pieces: Sequence[InferenceMargin], advance: Advance, data: Data, states: Sequence[State]
) -> list[float]:
    (piece,) = pieces
    parts = [fold(data, number) for number in range(piece.folds)]
    return [
        calibrate_margin(
            [_restored(piece.setting, number, state) for number, state in enumerate(states)],
            [part.test_pixels for part in parts],
            [part.test_labels for part in parts],
            piece.timesteps,
            piece.max_loss,
        )
    ]


def _restored(setting: Setting, number: int, state: State) -> Network:
    network = create_network(seeded(setting.config, number))
    network.restore(state)
    return network


# Of the code that this process has loaded.
SOURCE = source_digest(
    [
        Path(engine.__file__).parent,
        *(Path(str(each.__file__)) for each in (early_exit, experiments, neurobench)),
        Path(__file__),
    ]
)


def _source() -> str:
    return SOURCE


def _identity_with(data: Data) -> Callable[[Any], dict]:
    samples = data.digest()

    def identity(piece: Any) -> dict:
        plain = json.loads(json.dumps(piece._asdict(), default=asdict))
        return {'piece': type(piece).__name__, **plain, 'samples': samples}

    return identity


def _encode_margin(identity: dict, margin: float) -> bytes:
    return (json.dumps(identity | {'margin': margin}, indent=1) + '\n').encode()


def _decode_margin(content: bytes) -> float:
    return float(json.loads(content)['margin'])
