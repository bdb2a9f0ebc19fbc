"""Energy tables against the figures as published, and tables of users."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from topspark_ros.engine import OperationCounts
from topspark_ros.methodology.energy import (
    ENERGY_TABLES,
    EnergyTable,
    EnergyTableError,
    energy_table,
    estimate_energy_j,
    load_energy_table,
)

SHIPPED = Path(__file__).parents[2] / 'config' / 'energy'
MINE = EnergyTable('mine', 'measured on our board', 1e-12, 2e-12, 3e-12, 4e-12, 0.0)

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
    assert set(ENERGY_TABLES) == {path.stem for path in SHIPPED.glob('*.yaml')}


def written(path, **changes):
    content = {key: value for key, value in (asdict(MINE) | changes).items() if value != 'left out'}
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_table_of_ones_own(tmp_path):
    path = written(tmp_path / 'mine.yaml')
    assert load_energy_table(path) == MINE == energy_table(str(path))
    counts = OperationCounts(10, 2, 4000, 6400, 784)
    expected = (4000 * 1 + 6400 * 2 + 784 * 3 + 12 * 4) * 1e-12
    assert estimate_energy_j(counts, MINE) == pytest.approx(expected)


def test_names_and_files_of_shipped_tables_are_the_same():
    for name, table in ENERGY_TABLES.items():
        assert energy_table(name) is table
        assert energy_table(str(SHIPPED / f'{name}.yaml')) == table


@pytest.mark.parametrize(
    'changes, complaint',
    [
        ({'spike_j': -1e-12}, 'spike_j is -1e-12, accepted is a number of joules, 0 or more'),
        (
            {'spike_j': '81e-12'},
            "spike_j is '81e-12', accepted is a number .* with a point: 81.0e-",
        ),
        ({'spike_j': float('inf')}, 'spike_j is inf, accepted'),
        ({'spike_j': float('nan')}, 'spike_j is nan, accepted'),
        ({'spike_j': True}, 'spike_j is True, accepted'),
        ({'spike_j': None}, 'spike_j is None, accepted'),
        ({'source': ''}, "source is '', accepted is a text"),
        ({'name': 7}, 'name is 7, accepted is a text'),
        ({'spike_pj': 1.0}, 'spike_pj is unknown, accepted is name, source, synaptic_operation_j'),
        ({'neuron_update_j': 'left out'}, 'neuron_update_j is missing, accepted is a value'),
        ({'name': 'loihi'}, "name is 'loihi', accepted is another than that of a shipped table"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, changes, complaint):
    path = written(tmp_path / 'mine.yaml', **changes)
    with pytest.raises(EnergyTableError, match=f'^{path}: {complaint}') as caught:
        energy_table(str(path))
    assert '\n' not in str(caught.value)


def test_what_is_neither_a_name_nor_a_file():
    with pytest.raises(
        EnergyTableError, match='^loihi3: No such file, accepted is one of cmos45, l'
    ):
        energy_table('loihi3')
