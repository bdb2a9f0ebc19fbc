"""The runner of pieces: killed processes are made good, rejected pieces are told, others go on."""

from __future__ import annotations

import importlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.running import RunningError, Work, run_pieces


def source() -> str:
    return 'of the test'


def squares(numbers, advance, folder):
    """Rejects 13. A number with a file in the folder kills its process, once or for ever."""
    (number,) = numbers
    deadly = Path(folder, str(number))
    if deadly.exists():
        if deadly.read_text() == 'once':
            deadly.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 13:
        raise TopsparkError('13 is rejected')
    with open(Path(folder, f'{number} done'), 'a', encoding='utf-8') as file:
        file.write('done\n')
    return [number**2]


WORK = Work(
    run=squares,
    source=source,
    identity=lambda number: {'number': number},
    encode=lambda identity, square: json.dumps(identity | {'square': square}).encode(),
    decode=lambda content: json.loads(content)['square'],
    suffix='.json',
)


def halves(numbers, advance):
    for _ in numbers:
        advance(0.5)
    return numbers


def test_what_is_in_hand_is_told_in_this_process(tmp_path):
    steps = []
    run_pieces(replace(WORK, run=halves), [1, 2], tmp_path, lambda *counts: steps.append(counts))
    assert steps == [(done, 2) for done in (0, 0.5, 1, 1.5, 2)]


def test_a_killed_process_is_made_good(tmp_path):
    (tmp_path / '5').write_text('once')
    steps = []
    results = run_pieces(
        WORK,
        range(8),
        tmp_path / 'store',
        lambda *counts: steps.append(counts),
        shared=[tmp_path],
        jobs=2,
    )
    assert list(results.items()) == [(number, number**2) for number in range(8)]
    assert not (tmp_path / '5').exists()  # it has killed
    assert steps[0] == (0, 8) and steps[-1] == (8, 8)


def test_what_always_kills_is_told(tmp_path):
    (tmp_path / '5').write_text('always')
    with pytest.raises(RunningError, match='^processes were killed 3 times in a row, accepted'):
        run_pieces(WORK, [5], tmp_path / 'store', shared=[tmp_path], jobs=2)


def test_a_rejected_piece_is_told_and_the_others_go_on(tmp_path):
    told, steps = [], []
    for _ in range(2):  # the second time it alone is tried again
        results = run_pieces(
            WORK,
            [12, 13, 14],
            tmp_path / 'store',
            lambda *counts: steps.append(counts),
            shared=[tmp_path],
            failed=lambda pieces, error: told.append((pieces, str(error))),
        )
        assert results == {12: 144, 14: 196}
    assert told == [([13], '13 is rejected')] * 2
    assert {path.read_text() for path in tmp_path.glob('* done')} == {'done\n'}
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3), (2, 3), (3, 3)]
    with pytest.raises(TopsparkError, match='^13 is rejected$'):
        run_pieces(WORK, [12, 13], tmp_path / 'store', shared=[tmp_path])


@pytest.fixture(scope='module')
def cluster():
    """Of one worker with one thread."""
    distributed = pytest.importorskip('dask.distributed')
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=':0'
    ) as cluster:
        yield cluster


def process_ids(numbers, advance):
    return [os.getpid() for _ in numbers]


def test_a_worker_alone_does_the_work(cluster, tmp_path):
    work = replace(WORK, run=process_ids)
    found = run_pieces(work, [1, 2], tmp_path, scheduler=cluster.scheduler_address)
    assert os.getpid() not in found.values()


def test_the_only_worker_is_made_good_with_what_it_shared(cluster, tmp_path):
    (tmp_path / '5').write_text('once')
    address = cluster.scheduler_address
    found = run_pieces(WORK, [5, 6], tmp_path / 'store', shared=[tmp_path], scheduler=address)
    assert found == {5: 25, 6: 36} and not (tmp_path / '5').exists()


def deadly(numbers, advance, *shared):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    'shared, complaint',
    [
        ([], 'were killed again and again, accepted are workers with memory for the work'),
        ([1.0], 'processes were killed 3 times in a row, accepted is memory for the work'),
    ],
    ids=['nothing shared', 'shared'],
)
def test_what_always_kills_a_worker_is_told(cluster, tmp_path, shared, complaint):
    work = replace(WORK, run=deadly)
    with pytest.raises(RunningError, match=complaint):
        run_pieces(work, [5], tmp_path, shared=shared, scheduler=cluster.scheduler_address)


def test_workers_without_a_module_are_rejected(cluster, tmp_path, monkeypatch):
    (tmp_path / 'only_here.py').write_text('def run(numbers, advance): return numbers\n')
    with cluster.get_client() as client:
        client.wait_for_workers(1)  # so that it has started without it
    monkeypatch.syspath_prepend(tmp_path)
    work = replace(WORK, run=importlib.import_module('only_here').run)
    with pytest.raises(RunningError, match="so do its workers: No module named 'only_here'$"):
        run_pieces(work, [1], tmp_path / 'store', scheduler=cluster.scheduler_address)
