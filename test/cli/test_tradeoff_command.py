"""`topspark tradeoff`: the table says what the policy chooses, and the picture is drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from topspark_ros.cli import tradeoff as command
from topspark_ros.cli.main import main
from topspark_ros.control.budgets import Limits
from topspark_ros.control.policy import Conditions, PolicyConfig, TimestepPolicy
from topspark_ros.methodology.profile import load_profile

SHIPPED = Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml'


@pytest.fixture
def tradeoff(monkeypatch, capsys, tmp_path):
    """Run it on a shipped profile; (exit code, standard output, standard error)."""

    def run(*arguments, profile=SHIPPED):
        monkeypatch.setattr(
            sys,
            'argv',
            [
                'topspark',
                'tradeoff',
                str(profile),
                '--output',
                str(tmp_path / 'picture.png'),
                *map(str, arguments),
            ],
        )
        return main(), *capsys.readouterr()

    return run


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines()[1:-1]]


def test_the_choice_moves_with_the_weights(tradeoff, tmp_path):
    code, printed, _ = tradeoff('--mu', '0,0.3', '--epsilon', '0,0.1,1')
    assert code == 0
    table = rows(printed)
    assert [row[:2] for row in table] == [
        [mu, epsilon] for mu in ('0', '0.3') for epsilon in ('0', '0.1', '1')
    ]
    powers = [float(row[9]) for row in table]
    assert powers[0] > powers[1] > powers[2]
    profile = load_profile(SHIPPED)
    assert (int(table[2][2]), int(table[2][3])) < (int(table[0][2]), int(table[0][3]))
    for mu, epsilon, training, inference, accuracy, *_ in table:
        decision = TimestepPolicy(
            profile, PolicyConfig(float(mu), float(epsilon), float(epsilon))
        ).decide(0.0, Limits(), Conditions(state_of_charge=1.0, learned_share=1.0))
        assert (int(training), int(inference)) == (
            decision.training_timesteps,
            decision.inference_timesteps,
        )
        assert accuracy == f'{decision.expected_accuracy:.1%}'
    assert (tmp_path / 'picture.png').read_bytes().startswith(b'\x89PNG')


def test_limits_are_kept_in_the_policys_order(tradeoff, monkeypatch):
    monkeypatch.setattr(command, '_draw', lambda *_: None)  # takes a second each time
    profile = load_profile(SHIPPED)
    inference_j, training_j = profile.at(1).inference.energy_j, profile.at(1).training.energy_j
    both_j = inference_j + training_j

    # A limit is kept to the last of it, without the controller's margin.
    code, printed, _ = tradeoff('--epsilon', 0, '--power', 10 * both_j * 1.001, '--rate', 10)
    (row,) = rows(printed)
    assert code == 0 and row[2:4] == ['1', '1'] and row[-1] == 'power'
    (row,) = rows(tradeoff('--epsilon', 0, '--power', 10 * both_j * 0.9, '--rate', 10)[1])
    assert row[2] == '1' and row[-2:] == ['50.0%', 'power']
    min_w = 10 * (inference_j + 0.12 * training_j)  # an eighth is the least that is learned
    (row,) = rows(tradeoff('--epsilon', 0, '--power', min_w, '--rate', 10)[1])
    assert row[2] == 'off' and row[-2:] == ['0.0%', 'power']
    (row,) = rows(
        tradeoff('--epsilon', 0, '--power', min_w, '--rate', 10, '--learned-share', 0.1)[1]
    )
    assert row[2] != 'off'
    (row,) = rows(tradeoff('--epsilon', 0, '--power', 0, '--rate', 10)[1])
    assert row[-3:] == ['0%', '0.0%', 'power']
    (row,) = rows(tradeoff('--epsilon', 1, '--min-accuracy', 0.98)[1])
    assert float(row[4].rstrip('%')) >= 98 and row[-1] == 'accuracy'
    (row,) = rows(tradeoff('--epsilon', 0, '--deadline', 1e-9)[1])
    assert row[-1] == 'infeasible'


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--mu', 'much'), "--mu is 'much', accepted are numbers, comma-separated"),
        (('--epsilon', '0,-1'), 'energy_weight_full is -1.0, accepted is a finite number from 0'),
        (('--learned-share', 2), '--learned-share is 2.0, accepted is 0 to 1'),
        (('--rate', 0), 'assumed_frame_rate_hz is 0.0, accepted is a finite number above 0'),
        (('--power', -1), 'power_w is -1.0, accepted is a finite number from 0'),
        (('--min-accuracy', 90), 'min_accuracy is 90.0, accepted is a fraction from 0 to 1'),
    ],
)
def test_what_is_rejected_is_one_line(tradeoff, tmp_path, arguments, message):
    code, printed, complaint = tradeoff(*arguments)
    assert code == 2 and not printed and not list(tmp_path.iterdir())
    assert complaint.startswith(f'topspark tradeoff: {message}') and complaint.count('\n') == 1


def test_a_file_that_is_no_profile_or_a_picture_that_cannot_be_written(tradeoff, tmp_path):
    missing = tmp_path / 'none.yaml'
    assert tradeoff(profile=missing)[2] == (
        f'topspark tradeoff: {missing}: No such file or directory, accepted is a profile in YAML\n'
    )
    nowhere = tmp_path / 'nowhere' / 'picture.png'
    code, _, complaint = tradeoff('--output', nowhere)
    assert code == 2
    assert complaint == (
        f'topspark tradeoff: --output is {nowhere}, accepted is a .png, '
        '.pdf, .svg file in a folder that can be written\n'
    )
