"""`topspark analyse`: table, pictures, recommendation, and one line for what is rejected."""

from __future__ import annotations

import csv
import json
import sys

import pytest
from html_reports import self_contained

from topspark_ros.cli import pictures
from topspark_ros.cli.main import main
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.neurobench import NeuroBenchMetrics

SMALL = (
    '--neurons',
    '10',
    '--timesteps',
    '16,4',
    '--rules',
    'pairwise,recruiting',
    '--encoders',
    'rate_regular',
    '--seeds',
    '2',
    '--samples',
    '120',
)


@pytest.fixture
def analyse(monkeypatch, capsys):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['topspark', 'analyse', *map(str, arguments)])
        return main(), *capsys.readouterr()

    return run


def test_an_analysis_ends_in_table_pictures_and_recommendation(analyse, tmp_path, monkeypatch):
    code, printed, _ = analyse(*SMALL, '--output', tmp_path, '--energy-model', 'cmos45')
    assert code == 0
    with open(tmp_path / 'table.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    cells = [json.loads(path.read_text()) for path in (tmp_path / 'cells').iterdir()]
    assert len(cells) == 2 * len(rows)

    (row,) = [
        row
        for row in rows
        if row['rule'] == 'pairwise'
        and row['theta_step'] == '16.0'
        and row['inference_timesteps'] == '4'
    ]
    seeds = [
        cell['inference']
        for cell in cells
        if cell['setting']['config']['neuron']['theta_step'] == 16
        and cell['setting']['inference_timesteps'] == 4
    ]
    accuracies = [each['accuracy'] for each in seeds]
    assert row['data'] == 'digits, validation part' and row['training_samples'] == '120'
    assert float(row['accuracy_mean']) == pytest.approx(sum(accuracies) / 2)
    assert float(row['accuracy_worst']) == min(accuracies) and row['seeds'] == '2'
    energy = ENERGY_TABLES['cmos45']
    counts = [each['counts'] for each in seeds]
    energy_j = (
        sum(
            each['synaptic_operations'] * energy.synaptic_operation_j
            + each['neuron_updates'] * energy.neuron_update_j
            + (each['input_spikes'] + each['output_spikes']) * energy.spike_j
            for each in counts
        )
        / 2
    )
    assert float(row['inference_energy_j']) == pytest.approx(energy_j)

    drawn = {path.name: path.read_bytes() for path in tmp_path.glob('*.png')}
    assert set(drawn) == {'accuracy.png', 'energy.png', 'sensitivity_pairwise.png'}
    assert all(content.startswith(b'\x89PNG') for content in drawn.values())
    assert 'Smallest T within 1% of the best accuracy at T = 16:' in printed
    assert '  recruiting, N = 10: T = ' in printed
    assert 'Neuron parameters that accuracy depends on most, pairwise, N = 10' in printed

    assert printed.splitlines()[-1] == f'{tmp_path}/report.html written'
    report = self_contained(tmp_path / 'report.html')
    assert report.pictures() == [
        'Accuracy against T',
        'Accuracy against energy',
        'Neuron parameters, pairwise',
    ]
    differ = {name for name in rows[0] if len({row[name] for row in rows}) > 1}
    assert {'rule', 'theta_step', 'accuracy_mean'} < differ < set(report.texts)
    metrics = ['', *NeuroBenchMetrics(0, 0, 0, 0, 0, 0).shown()]  # of full and reduced settings
    assert set(metrics[1:]) < set(report.texts) and {'footprint', 'Effective_ACs'} < differ
    assert len(report.of('th')) == len(metrics) + len(differ)
    assert len(report.of('td')) in [
        pairs * len(metrics) + len(rows) * len(differ) for pairs in (2, 3, 4)
    ]
    told = printed[printed.index('Smallest T') :].splitlines()[:-1]
    assert len(told) > 8 and {line.strip() for line in told} <= {
        words.strip() for words in report.texts
    }

    # Once more: nothing is computed, and the same comes out to the last digit.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'cells').iterdir()}
    written = (tmp_path / 'table.csv').read_bytes()
    monkeypatch.setattr(pictures, 'draw_analysis', lambda *_: None)  # takes seconds
    assert analyse(*SMALL, '--output', tmp_path, '--energy-model', 'cmos45')[1] == printed
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'cells').iterdir()} == before
    assert (tmp_path / 'table.csv').read_bytes() == written


def test_one_rule_size_and_timestep_alone(analyse, tmp_path):
    code, printed, _ = analyse(
        '--neurons',
        10,
        '--timesteps',
        8,
        '--rules',
        'recruiting',
        '--encoders',
        'rate_bernoulli',
        '--seeds',
        1,
        '--samples',
        50,
        '--part',
        'test',
        '--output',
        tmp_path,
    )
    assert code == 0 and 'T = 8 (rate_bernoulli)' in printed
    assert {path.name for path in tmp_path.glob('*.png')} == {'accuracy.png', 'energy.png'}


@pytest.mark.parametrize(
    'arguments, line',
    [
        (
            ('--rules', 'pairwise,hebb'),
            "--rules is 'pairwise,hebb', accepted are recruiting, "
            'pairwise, adaptive, triplet, modulated, comma-separated',
        ),
        (
            ('--encoders', ''),
            "--encoders is '', accepted are rate_regular, rate_bernoulli, constant_current, "
            'latency, comma-separated',
        ),
        (
            ('--timesteps', '4,x'),
            "--timesteps is '4,x', accepted are whole numbers, comma-separated",
        ),
        (('--timesteps', ''), "--timesteps is '', accepted are whole numbers, comma-separated"),
        (('--timesteps', '4,0'), 'training_timesteps is 0, accepted is 1 to 10000'),
        (('--neurons', '0'), 'neurons is 0, accepted is an integer from 1 to 268435456'),
        (('--seeds', '0'), '--seeds is 0, accepted is 1 or more'),
        (('--samples', '1039'), '--samples is 1039, accepted is 1 to 1038'),
        (
            ('--max-input-rate', '0'),
            'max_input_rate is 0.0, accepted is a number above 0 (inf: unlimited)',
        ),
        (('--jobs', '0'), 'jobs is 0, accepted is 1 or more, or -1'),
        (
            ('--scheduler', 'here'),
            "scheduler is 'here', accepted is an address such as tcp://host:8786",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(analyse, tmp_path, arguments, line):
    pytest.importorskip('dask.distributed')
    code, _, error = analyse(*SMALL, '--output', tmp_path, *arguments)
    assert (code, error) == (2, f'topspark analyse: {line}\n')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'name, words',
    [
        ('cifar', "dataset is 'cifar', accepted is one of digits, mnist, fashion_mnist"),
        ('mnist', 'No such file or directory, accepted is the gzipped IDX file of mnist'),
    ],
)
def test_a_dataset_that_is_not_there(analyse, tmp_path, monkeypatch, name, words):
    monkeypatch.setenv('TOPSPARK_DATA', str(tmp_path))
    code, _, error = analyse('--dataset', name, '--output', tmp_path)
    assert code == 2 and error.count('\n') == 1
    assert error.startswith('topspark analyse: ') and words in error


def test_an_output_that_cannot_be_written(analyse, tmp_path):
    (tmp_path / 'file').write_text('')
    code, _, error = analyse(*SMALL, '--output', tmp_path / 'file')
    assert code == 2 and error.count('\n') == 1
    assert error.startswith(f'topspark analyse: --output is {tmp_path}/file, accepted is')
