"""The analysis: which settings it asks for, and what it makes of their outcomes."""

import math
from dataclasses import fields

import pytest

from topspark_ros.engine import NeuronConfig, OperationCounts
from topspark_ros.methodology.analysis import (
    PARAMETER_VALUES,
    Grid,
    Summary,
    reductions,
    sensitivities,
    summarise,
    table,
)
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.experiments import Outcome, Pass
from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.methodology.sweep import Cell

GRID = Grid(
    64, ('pairwise', 'recruiting'), (10, 20), ('rate_regular', 'rate_bernoulli'), (350, 16, 4), 0.57
)
VALUES = sum(map(len, PARAMETER_VALUES.values()))


def outcome(accuracy, timesteps=16, time_s=1e-6):
    counts = OperationCounts(10 * timesteps, 3, 100 * timesteps, 10 * timesteps, 0)
    return Outcome(
        Pass(accuracy / 2, timesteps, counts, 3 * time_s),
        Pass(accuracy, timesteps, counts, time_s),
        NeuroBenchMetrics(1e6, 0.25, accuracy, 0.0, 80.0 * timesteps, 100.0 * timesteps),
    )


def summaries(accuracy):
    """Of every setting, with accuracy(setting)."""
    return summarise(
        {
            cell: outcome(accuracy(cell.setting), cell.setting.inference_timesteps)
            for cell in GRID.cells((0, 1))
        }
    )


# Settings.


def test_every_setting_once_with_every_seed():
    cells = GRID.cells((0, 1, 2))
    assert len(set(cells)) == len(cells)
    # Sizes x codings x T, pairwise without and with enhancement; parameters of pairwise.
    assert len(cells) == 3 * (2 * 2 * 3 * (2 + 1) + VALUES * 3)


def test_enhancement_is_a_matter_of_stdp_alone():
    settings = GRID.against_timesteps()
    assert {(s.config.rule, s.config.neuron.enhancement) for s in settings} == {
        ('pairwise', True),
        ('pairwise', False),
        ('recruiting', True),
    }
    assert all(s.training_timesteps == s.inference_timesteps for s in settings)


def test_parameters_are_varied_one_at_a_time():
    for setting in GRID.around_defaults():
        config = setting.config
        assert (config.rule, config.neurons, config.coding) == ('pairwise', 10, 'rate_regular')
        changed = [
            field.name
            for field in fields(NeuronConfig)
            if getattr(config.neuron, field.name) != getattr(NeuronConfig(), field.name)
        ]
        assert len(changed) == 1 and changed[0] in PARAMETER_VALUES


def test_every_number_of_a_neuron_is_varied():
    numbers = {field.name for field in fields(NeuronConfig) if not isinstance(field.default, bool)}
    assert set(PARAMETER_VALUES) == numbers


# Answers.


def test_summary_over_seeds():
    setting = GRID.against_timesteps()[0]
    outcomes = {
        Cell(setting, seed): outcome(accuracy, time_s=time_s)
        for seed, (accuracy, time_s) in enumerate(((0.5, 1.0), (0.7, 2.0), (0.9, 9.0)))
    }
    (summary,) = summarise(outcomes).values()
    assert summary.accuracies == (0.5, 0.7, 0.9)
    assert summary.accuracy == pytest.approx(0.7)
    assert summary.deviation == pytest.approx(0.2)
    assert summary.training.accuracy == pytest.approx(0.35)
    assert summary.inference.processor_time_s == 2.0 and summary.training.processor_time_s == 6.0
    assert math.isnan(Summary((0.5,), *outcome(0.5)).deviation)


def test_smallest_timestep_that_is_as_good():
    def accuracy(setting):
        config, timesteps = setting.config, setting.inference_timesteps
        if config.rule == 'recruiting':
            return {350: 0.9, 16: 0.5, 4: 0.895}[timesteps]  # not only from T to next T
        if config.coding == 'rate_bernoulli' or not config.neuron.enhancement:
            return 0.1
        return {350: 0.90, 16: 0.891 if config.neurons == 20 else 0.889, 4: 0.2}[timesteps]

    found = reductions(GRID, summaries(accuracy), 0.01)
    assert [
        (
            each.full.config.rule,
            each.full.config.neurons,
            each.full.inference_timesteps,
            each.reduced.inference_timesteps,
        )
        for each in found
    ] == [
        ('pairwise', 10, 350, 350),
        ('pairwise', 20, 350, 16),
        ('recruiting', 10, 350, 4),
        ('recruiting', 20, 350, 4),
    ]
    for each in found:
        assert (each.full.config.rule, each.full.config.neurons) == (
            each.reduced.config.rule,
            each.reduced.config.neurons,
        )
    assert found[1].reduced.config.coding == 'rate_regular'


def test_the_most_accurate_way_to_the_smallest_timestep():
    def accuracy(setting):
        return (
            0.9
            + 0.05 * (setting.config.coding == 'rate_bernoulli')
            - 0.01 * setting.config.neuron.enhancement
        )

    for full, reduced in reductions(GRID, summaries(accuracy), 0.1):
        for each in (full, reduced):
            assert each.config.coding == 'rate_bernoulli'
            assert each.config.neuron.enhancement == (each.config.rule == 'recruiting')
        assert (full.inference_timesteps, reduced.inference_timesteps) == (350, 4)


def test_what_accuracy_depends_on():
    def accuracy(setting):
        neuron, timesteps = setting.config.neuron, setting.inference_timesteps
        if timesteps == 350:
            return 0.9
        return (
            0.5
            + (0.2 if neuron.theta_step == 16 else 0)
            - (0.3 if neuron.theta_step == 2 else 0)
            - (0.1 if neuron.inhibition < math.inf else 0)
        )

    made = summaries(accuracy)
    first, second, *others = sensitivities(GRID, made, 'pairwise', 4)
    assert first == ('theta_step', pytest.approx(0.5), 16, pytest.approx(0.2))
    assert second == ('inhibition', pytest.approx(0.1), math.inf, 0)
    assert len(others) == len(PARAMETER_VALUES) - 2 and {each.spread for each in others} == {0}
    assert {each.spread for each in sensitivities(GRID, made, 'pairwise', 350)} == {0}


def test_table_has_every_field_and_figure(digits):
    made = summaries(lambda setting: 0.8)
    rows = table(made, digits, ENERGY_TABLES['loihi'])
    assert len(rows) == len(made) and len({tuple(row) for row in rows}) == 1
    row, summary = rows[0], next(iter(made.values()))
    assert (
        row['data'],
        row['training_samples'],
        row['rule'],
        row['neurons'],
        row['coding'],
        row['inference_timesteps'],
        row['enhancement'],
        row['seeds'],
    ) == ('digits', 300, 'pairwise', 10, 'rate_regular', 350, True, 2)
    assert {field.name for field in fields(NeuronConfig)} < set(row)
    assert row['accuracy_mean'] == row['accuracy_worst'] == 0.8 and row['accuracy_std'] == 0
    assert row['inference_synaptic_operations'] == 35000
    assert row['training_processor_time_s'] == 3e-6
    assert row['footprint'] == 1e6 and row['connection_sparsity'] == 0.25
    assert row['Effective_ACs'] == 28000 and row['Dense'] == 35000
    assert row['inference_energy_j'] == summary.inference.energy_j(ENERGY_TABLES['loihi'])
    assert 'seed' not in row
