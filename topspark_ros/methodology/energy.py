"""Energy estimated from exact operation counts and published figures per operation.

An estimate of what a presentation would cost on the hardware of the table. It is not what
the processor that runs this code draws.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

from topspark_ros.engine import OperationCounts
from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_yaml

# The shipped tables: beside this module where it is installed, else in the checkout that it is of.
_FOLDERS = (
    Path(__file__).parent / 'energy_tables',
    Path(__file__).resolve().parents[2] / 'config' / 'energy',
)
_ACCEPTED = 'an energy table in YAML'


class EnergyTableError(TopsparkError):
    """An energy table was rejected: one line with file, key, value and what is accepted."""


@dataclass(frozen=True)
class EnergyTable:
    """Energy of each operation on one kind of hardware.

    Parameters
    ----------
    name
        As `LearnerStatus.energy_model` and profiles tell it.
    source
        Where the figures come from.
    synaptic_operation_j
        One weight added to one neuron's potential, J.
    neuron_update_j
        One neuron's potential and threshold brought up to date, J.
    synaptic_update_j
        One weight changed by the plasticity rule, J.
    spike_j
        One input or output spike carried to where it is processed, J.
    multiply_accumulate_j
        One multiplication and addition of an encoder, J. Neuromorphic hardware has none of it: an
        encoder runs beside it.

    Raises
    ------
    EnergyTableError
        For an empty text, and an energy that is negative or not finite.
    """

    name: str
    source: str
    synaptic_operation_j: float
    neuron_update_j: float
    synaptic_update_j: float
    spike_j: float
    multiply_accumulate_j: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not field.name.endswith('_j'):
                if not isinstance(value, str) or not value.strip():
                    raise EnergyTableError(f'{field.name} is {value!r}, accepted is a text')
            elif (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value < math.inf
            ):
                raise EnergyTableError(
                    f'{field.name} is {value!r}, accepted is a number of joules, 0 or more, with a '
                    'point: 81.0e-12'
                )


def load_energy_table(path: str | os.PathLike) -> EnergyTable:
    """The energy table in a YAML file, such as those in `config/energy`.

    EnergyTableError if it is missing, unreadable or not valid.
    """
    try:
        content = read_yaml(path, _ACCEPTED)
    except FileError as error:
        raise EnergyTableError(str(error)) from None
    keys = [field.name for field in fields(EnergyTable)]
    if not isinstance(content, dict):
        raise EnergyTableError(f'{path}: no mapping of {", ".join(keys)}, accepted is {_ACCEPTED}')
    for key in keys:
        if key not in content:
            raise EnergyTableError(f'{path}: {key} is missing, accepted is a value')
    for key in content:
        if key not in keys:
            raise EnergyTableError(f'{path}: {key} is unknown, accepted is {", ".join(keys)}')
    try:
        return EnergyTable(**content)
    except EnergyTableError as error:
        raise EnergyTableError(f'{path}: {error}') from None


def _shipped() -> dict[str, EnergyTable]:
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.stem: load_energy_table(path) for path in sorted(folder.glob('*.yaml'))}


ENERGY_TABLES: Mapping[str, EnergyTable] = MappingProxyType(_shipped())


def energy_table(model: str) -> EnergyTable:
    """The shipped table of this name, or that of a file.

    EnergyTableError for what is neither, and for a file whose table has a shipped one's name: in
    what is reported nobody could tell them apart.
    """
    if model in ENERGY_TABLES:
        return ENERGY_TABLES[model]
    if not os.path.exists(model):
        raise EnergyTableError(
            f'{model}: No such file, accepted is one of {", ".join(ENERGY_TABLES)}, or {_ACCEPTED}'
        )
    table = load_energy_table(model)
    if table.name in ENERGY_TABLES and table != ENERGY_TABLES[table.name]:
        raise EnergyTableError(
            f'{model}: name is {table.name!r}, accepted is another than that of a shipped table'
        )
    return table


def estimate_energy_j(counts: OperationCounts, table: EnergyTable) -> float:
    """Estimated energy of the operations counted, J; static power is not part of it.

    Parameters
    ----------
    counts
        Of one presentation or a sum over several.
    """
    return (
        counts.synaptic_operations * table.synaptic_operation_j
        + counts.neuron_updates * table.neuron_update_j
        + counts.synaptic_updates * table.synaptic_update_j
        + (counts.input_spikes + counts.output_spikes) * table.spike_j
    )
