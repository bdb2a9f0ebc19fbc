"""Energy tables against the figures as published."""

import pytest

from topspark_ros.engine import OperationCounts
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j

NONE = OperationCounts(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    'field, picojoules',
    [
        ('input_spikes', 1.7),
        ('output_spikes', 1.7),
        ('synaptic_operations', 23.6),
        ('neuron_updates', 81),
        ('synaptic_updates', 120),
    ],
)
def test_loihi(field, picojoules):
    counts = NONE._replace(**{field: 1000})
    energy_j = estimate_energy_j(counts, ENERGY_TABLES['loihi'])
    assert energy_j == pytest.approx(picojoules * 1e-9)


@pytest.mark.parametrize(
    'field, picojoules',
    [
        ('input_spikes', 10),
        ('output_spikes', 10),
        ('synaptic_operations', 15.9),
        ('neuron_updates', 19.6),
        ('synaptic_updates', 20.5),
    ],
)
def test_cmos45(field, picojoules):
    counts = NONE._replace(**{field: 1000})
    energy_j = estimate_energy_j(counts, ENERGY_TABLES['cmos45'])
    assert energy_j == pytest.approx(picojoules * 1e-9)


def test_sum():
    counts = OperationCounts(10, 2, 4000, 6400, 784)
    table = ENERGY_TABLES['loihi']
    dynamic_j = (12 * 1.7 + 4000 * 23.6 + 6400 * 81 + 784 * 120) * 1e-12
    assert estimate_energy_j(counts, table) == pytest.approx(dynamic_j)


def test_tables_are_named_cited_and_fixed():
    for name, table in ENERGY_TABLES.items():
        assert table.name == name and '20' in table.source
    with pytest.raises(TypeError):
        ENERGY_TABLES['mine'] = ENERGY_TABLES['loihi']
