"""Energy estimated from exact operation counts and published figures per operation.

An estimate of what a presentation would cost on the hardware of the table. It is not what
the processor that runs this code draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from topspark_ros.engine import OperationCounts


@dataclass(frozen=True)
class EnergyTable:
    """Energy of each operation on one kind of hardware.

    Parameters
    ----------
    name
        The key in ENERGY_TABLES.
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
    """

    name: str
    source: str
    synaptic_operation_j: float
    neuron_update_j: float
    synaptic_update_j: float
    spike_j: float
    multiply_accumulate_j: float


# A plain digital design, J: state in 8 KB SRAMs, an access of 32 bits counted the same for reading
# and writing (half of the published 10 pJ for 64 bits).
ADD, MULTIPLY, ACCESS = 0.9e-12, 3.7e-12, 5e-12
# Read the weight and the input, multiply, add to a sum that stays where it is.
MULTIPLY_ACCUMULATE = 2 * ACCESS + MULTIPLY + ADD


def _loihi() -> EnergyTable:
    return EnergyTable(
        name='loihi',
        source='Davies et al. 2018, IEEE Micro 38(1) (14 nm, 0.75 V)',
        synaptic_operation_j=23.6e-12,  # energy per synaptic spike operation, least
        neuron_update_j=81e-12,  # energy per neuron update, active
        synaptic_update_j=120e-12,  # energy per synaptic update, pair-wise STDP
        spike_j=1.7e-12,  # within-tile spike energy
        multiply_accumulate_j=MULTIPLY_ACCUMULATE,
    )


def _cmos45() -> EnergyTable:
    return EnergyTable(
        name='cmos45',
        source='composed from Horowitz 2014, ISSCC, doi:10.1109/ISSCC.2014.6757323 '
        '(45 nm, 0.9 V, 32-bit floating point, 8 KB SRAM)',
        # Read the weight; read the potential, add, write it.
        synaptic_operation_j=3 * ACCESS + ADD,
        # Read the potential, multiply by the leak, write it; read the threshold, compare.
        neuron_update_j=3 * ACCESS + MULTIPLY + ADD,
        # w += rate (target - w): read both, subtract, multiply, add, write.
        synaptic_update_j=3 * ACCESS + MULTIPLY + 2 * ADD,
        # Write the address into a queue and read it.
        spike_j=2 * ACCESS,
        multiply_accumulate_j=MULTIPLY_ACCUMULATE,
    )


ENERGY_TABLES: Mapping[str, EnergyTable] = MappingProxyType(
    {table.name: table for table in (_loihi(), _cmos45())}
)


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
