"""Reports: figures against independent counts, pages without gaps, comparisons frame by frame."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from html_reports import self_contained
from hypothesis import given
from hypothesis import settings as hypotheses
from hypothesis import strategies as st

from topspark_ros.cli.report import write_report as write_demo
from topspark_ros.control.battery import BatteryReading
from topspark_ros.control.budgets import Budget
from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.controller import Controller, ControlSettings
from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.online import OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.replay import pictures
from topspark_ros.replay.archive import ReportError, read_runs, write_runs
from topspark_ros.replay.figures import (
    POWER_WINDOW_S,
    confusion,
    figures,
    mcnemar,
    paired,
    running_mean,
    worst_window,
)
from topspark_ros.replay.report import compare_reports, write_report
from topspark_ros.replay.results import FRAMES, NONE, STATUS, Decided, Evaluation
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.share import FrameShare

pytestmark = pytest.mark.filterwarnings('error')

PROFILE = Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml'
DIGITS = load_dataset('digits')
PIXELS = DIGITS.images.reshape(len(DIGITS.labels), -1)
NAMES = [DIGITS.class_names[label] for label in DIGITS.labels]
FRAMES_N, RATE_HZ = 450, 10.0
STATUS_FRAMES = 5
BATTERY_J = 10e-3


def evaluate(name, timesteps=None, budgets=(), pixels=PIXELS, names=NAMES, seed=0):
    """Digits at RATE_HZ, every third without a label, at a fixed T or with the controller.

    budgets: (time, Budget) for the controller.
    """
    profile = load_profile(PROFILE)
    controller = Controller(profile, ControlSettings()) if timesteps is None else None
    setting = (timesteps or 64, timesteps or 64, True, 1.0)
    learner = OnlineLearner(
        create_network(
            NetworkConfig(inputs=pixels.shape[1], neurons=150, max_input_rate=2.0, seed=seed)
        ),
        (),
        Timesteps(*setting[:3]),
        OnlineSettings(label_wait_s=0.05),
        ENERGY_TABLES['loihi'],
    )
    share, budgets, skipped = FrameShare(), list(budgets), 0
    heard, frames, status, decisions = [], [], [], []
    for number in range(FRAMES_N):
        now_s, stamp_ns = number / RATE_HZ, 1_000_000_000 + number * 100_000_000
        learner.learn_due(now_s)
        if controller is not None:
            while budgets and budgets[0][0] <= now_s:
                controller.on_budget(now_s, 'operator', budgets.pop(0)[1])
            charge = 1.0 - learner.totals.energy_j / BATTERY_J
            controller.on_battery(now_s, BatteryReading(percentage=charge))
            decision = controller.decide(now_s)
            if decision is not None and decision.setting != setting:
                setting = decision.setting
                learner.set_timesteps(Timesteps(*setting[:3], frame_share=setting[3]))
                decisions.append(
                    Decided(
                        now_s, len(decisions) + 1, *setting, decision.reason.name, decision.detail
                    )
                )
        if number % STATUS_FRAMES == 0:
            seen = learner.status(now_s)
            limits = controller.status(now_s).limits if controller is not None else None
            status.append(
                (
                    now_s,
                    *setting,
                    seen.activity.frame_rate_hz,
                    seen.activity.power_w,
                    seen.totals.energy_j,
                    seen.accuracy,
                    seen.recruited_neurons,
                    limits.strictest_power_w if limits else math.nan,
                    limits.mission_power_w if limits else math.nan,
                    charge if controller is not None else math.nan,
                )
            )
            if controller is not None:
                controller.on_report(
                    now_s,
                    LearnerReport(
                        now_s,
                        *setting,
                        seen.totals.classified,
                        skipped,
                        seen.totals.learned,
                        seen.totals.energy_j,
                        seen.totals.learning_energy_j,
                        latency_s=1e-3,
                        inference_s=1e-4,
                    ),
                )
        if not share.takes(setting[3]):
            skipped += 1
            frames.append((now_s, stamp_ns, 0.0, NONE, NONE, 0, math.nan, False, 0, False, 0))
            continue
        index = number % len(names)
        label = NONE
        if number % 3:
            learner.add_label(stamp_ns, names[index])
            if names[index] not in heard:
                heard.append(names[index])
            label = heard.index(names[index])
        result = learner.classify(stamp_ns, pixels[index], now_s)
        predicted = NONE if result.class_name is None else heard.index(result.class_name)
        frames.append(
            (
                now_s,
                stamp_ns,
                1.0,
                label,
                predicted,
                result.score,
                result.confidence,
                result.unknown,
                result.timesteps,
                result.learning,
                result.energy_j,
            )
        )
    totals = learner.totals
    return Evaluation(
        name,
        {
            'energy_model': 'loihi',
            'energy_source': ENERGY_TABLES['loihi'].source,
            'neurons': 150,
            'seed': seed,
            'margin': math.inf,
            'timesteps': timesteps,
        },
        tuple(heard),
        np.array(frames, FRAMES),
        np.array(status, STATUS),
        tuple(decisions),
        learner.snapshot()[0].receptive_fields(),
        NeuroBenchMetrics(2e5, 0.3, 0.98, 0.0, 4e4 + totals.learned, 7e5),
        (),
        (),
        {'frames': FRAMES_N, 'learned': totals.learned},
        FRAMES_N / RATE_HZ,
        0.25,
    )


@pytest.fixture(scope='module')
def sweep():
    return [evaluate(f'T = {timesteps}', timesteps) for timesteps in (2, 8, 32)]


@pytest.fixture(scope='module')
def controlled():
    return evaluate(
        'controller',
        budgets=[
            (0.0, Budget(power_w=2e-4)),
            (3.0, Budget(power_w=4e-6)),
            (38.0, Budget(power_w=3e-7)),
            (42.0, Budget(energy_j=1e-3, duration_s=60.0)),
        ],
    )


@pytest.fixture(scope='module')
def written(sweep, controlled, tmp_path_factory):
    """Folders of the reports of both."""
    folder = tmp_path_factory.mktemp('reports')
    write_report(folder / 'sweep', sweep)
    write_report(folder / 'deep' / 'controlled', [controlled])
    return folder / 'sweep', folder / 'deep' / 'controlled'


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def report(folder: Path) -> dict:
    return json.loads((folder / 'report.json').read_text())


def links(page: Path) -> list[Path]:
    return [page.parent / name for name in re.findall(r'[^\\]\]\(([^)]+)\)', page.read_text())]


def line(page: Path, name: str) -> list[str]:
    """Cells of the row of a table that begins with `name`."""
    (found,) = [line for line in page.read_text().splitlines() if line.startswith(f'| {name}')]
    return [cell.strip() for cell in found.strip('|').split(' | ')][1:]


# Figures.


def test_accuracy_is_what_a_count_of_the_rows_gives(written, controlled):
    _, folder = written
    taken = [row for row in rows(folder / 'frames.csv') if row['taken'] == '1']
    labelled = [row for row in taken if row['label']]
    right = [row['label'] == row['predicted'] for row in labelled]
    (result,) = [run['figures'] for run in report(folder)['runs']]
    assert 0 < len(taken) < FRAMES_N == result['frames']  # the controller left some out
    assert (result['classified'], result['labelled']) == (len(taken), len(labelled))
    assert result['accuracy'] == sum(right) / len(right)
    assert result['late_accuracy'] == sum(right[-200:]) / 200 > 0.5
    page = folder / 'README.md'
    assert line(page, '**accuracy**') == [f'{100 * sum(right) / len(right):.1f} %']

    pairs = Counter((row['label'], row['predicted'] or None) for row in labelled)
    told = report(folder)['runs'][0]
    table = told['confusion']
    assert {
        (label, predicted): count
        for label, counts in zip(table['labels'], table['counts'])
        for predicted, count in zip(table['predictions'], counts)
        if count
    } == pairs
    assert table['labels'] == sorted(set(NAMES))
    for name, recall in told['recall'].items():
        of_class = [row['predicted'] == name for row in labelled if row['label'] == name]
        assert recall == sum(of_class) / len(of_class)


def test_energy_and_timesteps_are_those_of_the_rows(sweep, controlled):
    for run, timesteps in zip(sweep, (2, 8, 32)):
        result = figures(run)
        assert result.inference_timesteps == result.training_timesteps == (timesteps,)
        assert result.changes is None and result.worst is None
        last = run.status[-1]
        seen = sum(time_s <= last['time_s'] for time_s in run.frames['time_s'].tolist())
        assert result.frame_j == last['energy_j'] / seen > result.inference_j
        assert result.power_w == pytest.approx(last['energy_j'] / last['time_s'])  # from 0 s on
    result = figures(controlled)
    assert len(result.inference_timesteps) > 2 and result.changes >= 2
    assert result.mean_steps == pytest.approx(
        np.mean(controlled.frames['timesteps'][controlled.frames['taken']])
    )


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 50))
@hypotheses(max_examples=50, deadline=None)
def test_the_running_mean_is_that_of_the_latest(right, window):
    means = running_mean(np.array(right, bool), window)
    assert means.tolist() == pytest.approx(
        [np.mean(right[max(0, end - window) : end]) for end in range(1, len(right) + 1)]
    )


def course(times_s, power_w, limit_w) -> np.ndarray:
    """Status of a power that stays from each time to the next."""
    status = np.zeros(len(times_s), STATUS)
    status['time_s'], status['power_limit_w'] = times_s, limit_w
    status['energy_j'][1:] = np.cumsum(np.asarray(power_w)[:-1] * np.diff(times_s))
    return status


def test_the_worst_window_is_found_by_trying_all(controlled):
    random = np.random.default_rng(3)
    times_s = np.cumsum(random.choice([0.25, 0.5, 1.0], 160))
    made_up = course(times_s, random.random(160), random.random(160) + 0.2)
    for status in (made_up, controlled.status):
        begin_s, end_s = status['time_s'][[0, -1]]
        found = []
        for start_s in status['time_s'][status['time_s'] >= begin_s + POWER_WINDOW_S] - 30.0:
            grid_s = start_s + np.arange(3000) * 0.01 + 0.005
            row = np.searchsorted(status['time_s'], grid_s, side='right') - 1
            power_w = np.diff(status['energy_j'])[row] / np.diff(status['time_s'])[row]
            limits_w = status['power_limit_w'][row]
            if not np.isnan(limits_w).any():
                found.append((np.mean(power_w) / np.mean(limits_w) - 1, start_s))
        worst = worst_window(status)
        excess, start_s = max(found)
        assert worst.excess == pytest.approx(excess, abs=1e-3)
        assert worst.power_w / worst.limit_w - 1 == pytest.approx(worst.excess)
        assert 0 <= worst.begin_s <= end_s - POWER_WINDOW_S


def test_windows_without_a_limit_do_not_count():
    times_s = np.arange(100.0)
    limit_w = np.full(100, 1.0)
    assert worst_window(course(times_s[:30], np.ones(30), limit_w[:30])) is None
    assert worst_window(course(times_s, np.ones(100), np.full(100, np.nan))) is None
    limit_w[[25, 50, 75]] = np.nan  # never 30 s without one of them
    assert worst_window(course(times_s, np.ones(100), limit_w)) is None
    assert worst_window(course(times_s, np.ones(100), np.zeros(100))).excess == math.inf
    assert worst_window(course(times_s, np.zeros(100), np.zeros(100))).excess == 0.0
    above = worst_window(course(times_s, np.full(100, 1.1), np.ones(100)))
    assert above.excess == pytest.approx(0.1) and above.power_w == pytest.approx(1.1)


# Two runs.


@given(st.integers(0, 80), st.integers(0, 80))
@hypotheses(max_examples=60, deadline=None)
def test_mcnemar_is_exact(b, c):
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    assert mcnemar(b, c) == pytest.approx(float(min(1, Fraction(2 * tail, 2 ** (b + c)))))


def test_mcnemar_of_very_many_frames():
    assert mcnemar(500_000, 500_000) == 1.0
    assert 0.0 < mcnemar(400, 1400) < 1e-120
    assert mcnemar(0, 100_000) == 0.0


def test_runs_are_paired_by_stamp_and_name(sweep, controlled):
    first, second = sweep[2], controlled
    # The same class with another index, frames in another order, some only in one.
    order = np.random.default_rng(1).permutation(len(second.class_names))
    frames = second.frames.copy()
    for column in ('label', 'predicted'):
        known = frames[column] != NONE
        frames[column][known] = np.argsort(order)[frames[column][known]]
    second = replace(
        second,
        class_names=tuple(second.class_names[i] for i in order),
        frames=frames[np.random.default_rng(2).permutation(len(frames))[20:]],
    )

    def named(run):
        names = (*run.class_names, None)
        return {
            row['stamp_ns']: (names[row['label']], names[row['predicted']])
            for row in run.frames
            if row['taken']
        }

    a, b = named(first), named(second)
    shared = a.keys() & b.keys()
    counted = Counter(
        (a[stamp][1] == a[stamp][0], b[stamp][1] == b[stamp][0])
        for stamp in shared
        if a[stamp][0] is not None
    )
    both = paired(first, second)
    assert 0 < both.frames == len(shared) < FRAMES_N - 20
    assert both.same == sum(a[stamp][1] == b[stamp][1] for stamp in shared)
    assert both.labelled == counted.total()
    assert (both.both_right, both.only_first, both.only_second) == (
        counted[True, True],
        counted[True, False],
        counted[False, True],
    )
    assert both.p_value == mcnemar(both.only_first, both.only_second)


def test_stamps_that_name_no_frame_are_not_paired(sweep):
    frames = sweep[0].frames.copy()
    frames['stamp_ns'][:10] = 0
    frames['stamp_ns'][10:12] = frames['stamp_ns'][12]
    run = replace(sweep[0], frames=frames)
    assert paired(run, run).frames == FRAMES_N - 13


# Pages.


def test_a_page_shows_its_pictures_and_units(written):
    page = written[1] / 'README.md'
    assert {path.name for path in links(page)} == {
        'accuracy.png',
        'confusion.png',
        'history.png',
        'receptive_fields.png',
    }
    assert all(path.read_bytes().startswith(b'\x89PNG') for path in links(page))
    text = page.read_text()
    assert 'nan' not in text and 'inf ' not in text
    assert 'estimated: operations' in text and 'Davies et al. 2018' in text
    assert line(page, '**mean power**')[0].endswith(('nW', 'µW'))
    assert line(page, '**energy of a frame**')[0].endswith(('nJ', 'µJ'))
    assert '180 x real time' in line(page, 'time it took')[0]
    assert line(page, '`margin`') == ['–'] and line(page, '`neurons`') == ['150']
    assert 'Nothing was lost or rejected.' in text


def test_a_sweep_has_a_page_of_all_and_one_each(written, sweep):
    folder, _ = written
    page = folder / 'README.md'
    assert {str(path.relative_to(folder)) for path in links(page)} == {
        'pareto.png',
        'accuracy.png',
        'history.png',
        'T_2/README.md',
        'T_8/README.md',
        'T_32/README.md',
    }
    assert all(
        path.exists() for each in (page, folder / 'T_8' / 'README.md') for path in links(each)
    )
    assert line(page, '**T** of inference') == ['2', '8', '32']
    assert [run['figures']['accuracy'] for run in report(folder)['runs']] == [
        figures(run).accuracy for run in sweep
    ]
    assert report(folder)['runs'][1]['figures'] == report(folder / 'T_8')['runs'][0]['figures']


def test_the_html_of_a_sweep_has_all_and_links_to_each_run(written):
    sweep, _ = written
    report = self_contained(sweep / 'report.html')
    assert report.pictures() == [
        'Accuracy against energy',
        'Accuracy over time',
        'T and power over time',
    ]
    assert report.links() == ['T_2/report.html', 'T_8/report.html', 'T_32/report.html']
    assert 'Evaluation: 3 runs' in report.texts
    one = self_contained(sweep / 'T_8' / 'report.html')
    assert 'What the neurons have learned' in one.pictures() and not one.links()


def test_the_names_of_strangers_are_shown_as_they_are(tmp_path, controlled):
    report = self_contained(write_report(tmp_path, [EDGES['hostile names'](controlled)]))
    # In three tables' headers and a row, as a count and as a loss; as title of page and window.
    assert report.texts.count(HOSTILE) == 6
    assert report.texts.count(f'Evaluation: {HOSTILE}') == 2
    assert len(report.pictures()) == 4 and not report.links()


def test_a_report_is_read_back_to_the_last_bit(written, sweep, controlled):
    for folder, runs in zip(written, (sweep, [controlled])):
        for read, run in zip(read_runs(folder), runs, strict=True):
            assert read.frames.tobytes() == run.frames.tobytes()
            assert read.status.tobytes() == run.status.tobytes()
            assert replace(
                read, frames=None, status=None, receptive_fields=None, settings=None
            ) == replace(run, frames=None, status=None, receptive_fields=None, settings=None)


def test_equal_runs_give_equal_reports_but_for_their_times(tmp_path, written, sweep):
    again = evaluate('T = 8', 8)
    write_report(tmp_path, [replace(again, took_s=1.7)])
    first, second = report(written[0] / 'T_8'), report(tmp_path)
    assert first.pop('timing') != second.pop('timing') and first == second
    for name in ('frames.csv', 'status.csv', 'decisions.csv'):
        assert (written[0] / 'T_8' / name).read_bytes() == (tmp_path / name).read_bytes()


def test_losses_and_counts_are_told(tmp_path, sweep):
    lost = 'image: 3 messages of encoding 32FC1, accepted are mono8, rgb8 | bgr8'
    write_report(tmp_path, [replace(sweep[0], lost=(lost,), counts={'rejected messages': 3})])
    page = tmp_path / 'README.md'
    assert f'- {lost}' in page.read_text()
    assert line(page, 'rejected messages') == ['3']


# Comparison.


def test_a_comparison_has_both_and_the_difference(tmp_path, written, sweep, controlled):
    compare_reports(tmp_path, written[0] / 'T_32', written[1])
    page = tmp_path / 'README.md'
    text = page.read_text()
    a, b = figures(sweep[2]), figures(controlled)
    assert line(page, '**accuracy**') == [
        f'{100 * a.accuracy:.1f} %',
        f'{100 * b.accuracy:.1f} %',
        f'{100 * (b.accuracy - a.accuracy):+.1f} points',
    ]
    assert line(page, '`timesteps`') == ['32', '–'] and '| `seed`' not in text
    both = paired(sweep[2], controlled)
    assert f'{both.frames:,} frames were classified by both' in text
    assert f'p = {both.p_value:.2g}' in text
    (told,) = json.loads((tmp_path / 'comparison.json').read_text())['pairs']
    assert told['frames']['only_first'] == both.only_first
    assert {path.name for path in links(page)} == {'accuracy.png', 'history.png'}
    assert all(path.exists() for path in links(page))


def test_sweeps_are_compared_run_by_run(tmp_path, written, sweep):
    (tmp_path / 'other').mkdir()
    write_runs(tmp_path / 'other', [evaluate('T = 8', 8, seed=1), replace(sweep[2], name='x')])
    compare_reports(tmp_path / 'both', written[0], tmp_path / 'other')
    text = (tmp_path / 'both' / 'README.md').read_text()
    assert re.findall('^## (.*)$', text, re.MULTILINE) == ['T = 8']
    with pytest.raises(ReportError, match='run of the same name'):
        compare_reports(tmp_path / 'none', written[0], written[1])


def test_a_report_equals_itself(tmp_path, written):
    compare_reports(tmp_path, written[1], written[1])
    text = (tmp_path / 'README.md').read_text()
    assert 'All settings are the same.' in text
    assert 'Neither is more accurate.' in text and '(100.0 %)' in text


# What is missing, and what is rejected.


def few(run: Evaluation, frames) -> Evaluation:
    return replace(run, frames=run.frames[frames])


def changed(run: Evaluation, part: str, **columns) -> Evaluation:
    array = getattr(run, part).copy()
    for name, value in columns.items():
        array[name] = value
    return replace(run, **{part: array})


def renamed(run: Evaluation, *names: str) -> Evaluation:
    return replace(run, class_names=(*names, *run.class_names[len(names) :]))


HOSTILE = '<script>alert(1)</script> [link](https://example.org) `**|**`'
EDGES = {
    'nothing labelled': lambda run: changed(run, 'frames', label=NONE),
    'no frame': lambda run: replace(few(run, slice(0)), receptive_fields=np.empty((0, 64), 'f4')),
    'nothing at all': lambda run: replace(
        few(run, slice(0)),
        status=np.empty(0, STATUS),
        decisions=(),
        class_names=(),
        settings={'energy_model': 'mine', 'energy_source': 'measured'},
        counts={},
        bag_s=0.0,
        took_s=0.0,
        receptive_fields=np.empty((0, 784), np.float32),
    ),
    'one frame': lambda run: replace(few(run, slice(1, 2)), status=run.status[:1]),
    'everything skipped': lambda run: changed(
        changed(run, 'frames', taken=False, label=NONE, predicted=NONE, timesteps=0, energy_j=0),
        'status',
        frame_share=0,
        energy_j=0,
        power_w=0,
        accuracy=np.nan,
    ),
    'no limits': lambda run: changed(
        run, 'status', power_limit_w=np.nan, mission_power_w=np.nan, state_of_charge=np.nan
    ),
    'power unknown': lambda run: changed(run, 'status', power_w=np.nan, power_limit_w=np.nan),
    'odd names': lambda run: renamed(
        replace(run, name='a|b $x_$\n,"'), '$_$', 'a,"b"\n|c', 'x' * 500, ' '
    ),
    'hostile names': lambda run: renamed(
        replace(run, name=HOSTILE, lost=(HOSTILE,), counts={HOSTILE: 3}),
        HOSTILE,
        '![a picture](/etc/passwd)',
        '</style></script><img src=x onerror=alert(1)>',
    ),
}


@pytest.mark.parametrize('edge', EDGES)
def test_what_is_missing_leaves_a_whole_page(tmp_path, controlled, edge):
    run = EDGES[edge](controlled)
    assert self_contained(write_report(tmp_path / 'one', [run])).of('td')
    page = tmp_path / 'one' / 'README.md'
    assert all(path.exists() for path in links(page))
    assert not re.search(r'\bnan\b|\binf\b', page.read_text())
    (read,) = read_runs(tmp_path / 'one')
    assert read.frames.tobytes() == run.frames.tobytes() and read.class_names == run.class_names
    shown = {path.name for path in links(page)}
    table = confusion(run)
    assert ('confusion.png' in shown) == bool(table.labels)
    assert ('accuracy.png' in shown) == (table.counts.sum() > 1)
    assert ('history.png' in shown) == (len(run.status) > 1)
    assert ('receptive_fields.png' in shown) == bool(len(run.receptive_fields))
    self_contained(compare_reports(tmp_path / 'both', tmp_path / 'one', tmp_path / 'one'))


@pytest.mark.parametrize(
    'classes, columns',
    [
        (dict(label=0, predicted=0), 1),
        (dict(predicted=NONE), 11),
        (dict(taken=True, label=np.arange(FRAMES_N) % 70, predicted=np.arange(FRAMES_N) % 69), 70),
    ],
)
def test_confusions_of_one_none_and_many_classes(tmp_path, controlled, classes, columns):
    run = changed(
        replace(controlled, class_names=tuple(f'thing {i}' for i in range(70))), 'frames', **classes
    )
    assert confusion(run).counts.shape[1] == columns
    assert pictures.draw_confusion(tmp_path / 'confusion.png', run)


@pytest.mark.parametrize('empty', [True, False])
def test_the_demo_has_a_page_of_its_course(tmp_path, controlled, empty):
    status = controlled.status[['time_s', 'power_w', 'accuracy', 'state_of_charge']]
    course = dict(
        decisions=[asdict(each) for each in controlled.decisions],
        accuracy=status[['time_s', 'accuracy']].tolist(),
        power_w=status[['time_s', 'power_w']].tolist(),
        budget_w=[(3.0, 4e-6), (38.0, 3e-7)],
        state_of_charge=status[['time_s', 'state_of_charge']].tolist(),
        frames=controlled.frames[['time_s', 'predicted']].tolist(),
    )
    page = write_demo(
        tmp_path,
        {
            'series': dict.fromkeys(course, []) if empty else course,
            'verdict': {'frames were learned': True, 'no frame was lost': False},
        },
        [('frames published', '40'), ('latency, median', '3.1 ms')],
        sample='frame',
        accuracy_window=200,
        accuracy_bound=0.9,
        frames=[]
        if empty
        else [
            SimpleNamespace(
                time_s=time_s,
                image=np.full((24, 32, 3), 40 * time_s, np.uint8),
                class_name=class_name,
                label=label,
            )
            for time_s, class_name, label in (
                (1, None, None),
                (2, 'a', None),
                (3, 'a', 'a'),
                (4, '$a_very long name', 'another very long name'),
            )
        ],
    )
    assert (tmp_path / 'demo.png').read_bytes().startswith(b'\x89PNG')
    text = (tmp_path / 'README.md').read_text()
    assert '- yes: frames were learned\n- **no**: no frame was lost\n' in text
    assert '| latency, median | 3.1 ms |' in text
    report = self_contained(page)
    assert len(report.pictures()) == 1
    details = {each.detail for each in controlled.decisions}
    assert details and (details <= set(report.texts)) != empty


def test_classes_are_in_the_order_of_their_numbers(controlled):
    names = ('thing 10', 'thing 9', 'b', '77', *controlled.class_names[4:])
    labels = confusion(replace(controlled, class_names=names)).labels
    assert [name for name in labels if name in names[:4]] == ['77', 'b', 'thing 9', 'thing 10']


@pytest.mark.parametrize('shape', [(7, 64), (90, 784), (1, 784), (7, 2 * 784)])
def test_receptive_fields_are_squares(tmp_path, shape):
    fields = np.random.default_rng(0).random(shape, np.float32)
    fields[0] = 0.0
    assert pictures.draw_receptive_fields(tmp_path / 'fields.png', fields)


def test_inputs_that_are_no_square_are_not_drawn(tmp_path):
    for shape in ((3, 7), (0, 784), (0, 0)):
        assert not pictures.draw_receptive_fields(tmp_path / 'fields.png', np.ones(shape))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('limit_w', [0.0, 5.0, np.arange(90) % 2 * 5.0])
def test_limits_of_nothing_and_far_above_are_drawn(tmp_path, controlled, limit_w):
    run = changed(controlled, 'status', power_limit_w=limit_w)
    assert pictures.draw_history(tmp_path / 'history.png', [run, replace(controlled, name='b')])


def test_a_front_needs_two_runs_with_known_figures(tmp_path, sweep):
    result = figures(sweep[1])
    worse = replace(result, accuracy=result.accuracy / 2, frame_j=2 * result.frame_j)
    assert pictures.draw_pareto(tmp_path / 'pareto.png', [('a', result), ('b', worse)])
    unknown = replace(result, accuracy=math.nan)
    assert not pictures.draw_pareto(tmp_path / 'none.png', [('a', result), ('b', unknown)])


def test_a_sweep_of_nothing_has_no_empty_picture(tmp_path, sweep):
    runs = [changed(few(run, slice(0)), 'status', energy_j=0.0) for run in sweep[:2]]
    page = write_report(tmp_path, [replace(run, status=run.status[:0]) for run in runs])
    assert not self_contained(page).pictures()


def rejected(function, *arguments) -> str:
    with pytest.raises(ReportError) as error:
        function(*arguments)
    assert '\n' not in str(error.value) and 'accepted' in str(error.value)
    return str(error.value)


def test_a_folder_that_is_no_report_is_rejected(tmp_path, written):
    def with_report(text: str) -> Path:
        (tmp_path / 'report.json').write_text(text)
        return tmp_path

    good = written[1]
    out = tmp_path / 'out'
    assert 'No such file' in rejected(compare_reports, out, tmp_path / 'none', good)
    for text in ('', '[]', '{"format": "other", "version": 1}', '\xff'):
        assert 'no report' in rejected(compare_reports, out, good, with_report(text))
    told = report(good)
    assert 'version 4 of the format, accepted is 3' in rejected(
        compare_reports, out, good, with_report(json.dumps(told | {'version': 4}))
    )
    for broken in ({'runs': [{}]}, {'runs': 7}, {'timing': [None]}):
        assert 'damaged' in rejected(
            compare_reports, out, good, with_report(json.dumps(told | broken))
        )
    with_report(json.dumps(told))
    assert 'frames.csv: No such file' in rejected(compare_reports, out, good, tmp_path)
    assert not out.exists()


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'no table'),
        ('time,what\n', 'columns time,what, accepted are time_s,stamp_ns,'),
        (','.join(FRAMES.names) + '\n1,2\n', 'row 2'),
        (
            ','.join(FRAMES.names) + '\n0,1,1,,,0,nan,0,8,1,0\n0,1,1,giraffe,,0,nan,0,8,1,0\n',
            "row 3: 'giraffe'",
        ),
    ],
)
def test_rows_that_are_broken_are_rejected(tmp_path, controlled, text, message):
    write_runs(tmp_path, [few(controlled, slice(0))])
    (tmp_path / 'frames.csv').write_text(text)
    assert message in rejected(read_runs, tmp_path)


def test_what_would_overwrite_or_collide_is_rejected(tmp_path, written, sweep):
    before = (written[1] / 'README.md').read_bytes()
    assert 'another folder' in rejected(compare_reports, written[1], written[0], written[1])
    assert (written[1] / 'README.md').read_bytes() == before
    same = [sweep[0], replace(sweep[1], name='T_2')]
    assert "'T = 2', 'T_2'" in rejected(write_report, tmp_path / 'new', same)
    assert '1 or more' in rejected(write_report, tmp_path / 'new', [])
    assert not (tmp_path / 'new').exists()
