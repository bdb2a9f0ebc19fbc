"""Long work in pieces, here or on a Dask cluster, each result kept on disk once it is there.

The file of a piece is named by all that its result depends on. So work that was killed goes on
where it was, other work with pieces in common reuses them, and what another source code or input
gave is never reused.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import io
import json
import re
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import joblib
import numpy as np

from topspark_ros.errors import TopsparkError
from topspark_ros.files import write_bytes

CLUSTER_TIMEOUT_S = 10.0  # for a scheduler to answer and to have a worker
MOST_KILLED = 3  # times in a row that processes are killed before any result is there

Piece = TypeVar('Piece', bound=Hashable)
Result = TypeVar('Result')


class RunningError(TopsparkError):
    """Work cannot be run: one line with field, value and what is accepted."""


@dataclass(frozen=True)
class Work(Generic[Piece, Result]):
    """What is done with pieces. Its functions are found by name in the workers' processes.

    run: results of pieces that are done together, in their order, from these, a function to call
        with how much of them is done, in pieces, and `shared`.
    source: digest of the source code that the process has loaded.
    identity: all that a result depends on but for the source code, as plain values.
    encode, decode: a file's bytes of identity and result, and the result of these bytes. `decode`
        raises ValueError, KeyError or TypeError for what is no whole file.
    suffix: of the files.
    together: pieces of the same value are done together.
    again: whether a piece is done although the store has its result, because it leaves something
        else as well.
    """

    run: Callable[..., Sequence[Result]]
    source: Callable[[], str]
    identity: Callable[[Piece], dict]
    encode: Callable[[dict, Result], bytes]
    decode: Callable[[bytes], Result]
    suffix: str
    together: Callable[[Piece], Hashable] = lambda piece: piece
    again: Callable[[Piece], bool] = lambda piece: False


def run_pieces(
    work: Work[Piece, Result],
    pieces: Iterable[Piece],
    store: Path,
    progress: Callable[[float, int], None] | None = None,
    *,
    shared: Sequence[object] = (),
    jobs: int = 1,
    scheduler: str | None = None,
    failed: Callable[[Sequence[Piece], TopsparkError], None] | None = None,
) -> dict[Piece, Result]:
    """The result of every piece, from the store or from its work.

    store: folder of the files; made if it is not there. A broken file is replaced.
    progress: called with (finished, all) pieces, first with what the store had; with a part of
        those in hand only where they are done in this process, with one job and no scheduler.
    shared: further arguments of `work.run`; sent once to a worker, not with every piece.
    jobs: processes on this machine; -1: one for each core.
    scheduler: address of a Dask scheduler, such as tcp://host:8786, whose workers do the work
        instead. They need this package in this version.
    failed: called with pieces that were rejected, which have no result then, and why. None: the
        first error ends all.

    What a killed process or worker had in hand is done again by another.

    Raises RunningError for a wrong number of jobs, if the store cannot be written, the scheduler
    does not answer or has no workers, a worker lacks a module or runs other source code, or
    processes are killed again and again.
    """
    if jobs < 1 and jobs != -1:
        raise RunningError(f'jobs is {jobs}, accepted is 1 or more, or -1')
    files = {piece: _file(work, store, piece) for piece in pieces}
    results = {
        piece: kept
        for piece, (path, _) in files.items()
        if not work.again(piece)
        for kept in _load(work, path)
    }
    rejected: set[Piece] = set()

    def report(in_hand: float = 0) -> None:
        if progress is not None:
            progress(len(results) + len(rejected) + in_hand, len(files))

    report()
    killed = 0
    while left := [piece for piece in files if piece not in results and piece not in rejected]:
        groups: dict[Hashable, list[Piece]] = {}
        for piece in left:
            groups.setdefault(work.together(piece), []).append(piece)
        try:
            alone = jobs == 1 and scheduler is None
            arguments = report if alone else _untold, *shared
            with closing(_finished(work, groups, arguments, jobs, scheduler)) as all_finished:
                for group, finished in all_finished:
                    killed = 0
                    if isinstance(finished, TopsparkError):
                        if failed is None:
                            raise finished
                        failed(group, finished)
                        rejected.update(group)
                    else:
                        for piece, result in zip(group, finished):
                            _save(work, *files[piece], result)
                            results[piece] = result
                    report()
        except BrokenProcessPool as error:
            killed += 1
            if killed == MOST_KILLED:
                raise RunningError(
                    f'processes were killed {killed} times in a row, accepted is memory for '
                    f'the work of all of them: {" ".join(str(error).split())}'
                ) from None
    return {piece: results[piece] for piece in files if piece in results}  # in their order


def packed(plain: dict, arrays: dict[str, Any]) -> bytes:
    """A NumPy archive of arrays, and of plain values as JSON: for `Work.encode`."""
    file = io.BytesIO()
    np.savez_compressed(file, plain=np.array(json.dumps(plain)), **arrays)
    return file.getvalue()


def unpacked(content: bytes) -> tuple[dict, dict[str, Any]]:
    """The plain values and the arrays of `packed`. Raises RunningError for what is no whole one."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
            return json.loads(str(arrays.pop('plain'))), arrays
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
        raise RunningError(f'no whole archive: {error}') from None


def source_digest(paths: Iterable[Path]) -> str:
    """Of Python files, and of those in folders."""
    state = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob('*.py')) if path.is_dir() else [path]:
            if file.exists():  # a link in a build folder may outlive its file
                state.update(file.read_bytes())
    return state.hexdigest()[:16]


def _finished(
    work: Work[Piece, Result],
    groups: Mapping[Hashable, list[Piece]],
    arguments: Sequence[object],
    jobs: int,
    scheduler: str | None,
) -> Generator[tuple[list[Piece], Sequence[Result] | TopsparkError], None, None]:
    """Groups of pieces as they are finished, with their results or why they were rejected."""
    here = work.source()
    calls = [(work.run, work.source, group) for group in groups.values()]
    all_finished = (
        _on_cores(calls, arguments, jobs)
        if scheduler is None
        else _on_cluster(calls, arguments, scheduler)
    )
    for source, group, finished in all_finished:
        if source != here:
            raise RunningError(
                f'source code of a worker of {scheduler} is {source}, '
                f'accepted is the same as here, {here}'
            )
        yield group, finished


def _call(
    run: Callable[..., Sequence[Result]],
    source: Callable[[], str],
    group: list[Piece],
    *arguments: object,
) -> tuple[str, list[Piece], Sequence[Result] | TopsparkError]:
    try:
        return source(), group, run(group, *arguments)
    except TopsparkError as error:
        return source(), group, error


def _untold(in_hand: float) -> None:
    """In other processes nobody hears how much is done."""


def _on_cores(calls: Sequence[tuple], arguments: Sequence[object], jobs: int) -> Iterator[tuple]:
    """What `_call` returns, as it is finished."""
    parallel = joblib.Parallel(jobs, return_as='generator_unordered', batch_size=1)
    yield from parallel(joblib.delayed(_call)(*call, *arguments) for call in calls)


def _on_cluster(
    calls: Sequence[tuple], arguments: Sequence[object], scheduler: str
) -> Iterator[tuple]:
    """The same of the workers of a scheduler. Not by joblib's backend for Dask: that waits for ever
    for a task that Dask has given up, and a cluster of one thread has nothing to do there."""
    with _client(scheduler) as client:
        from dask.distributed import CancelledError, KilledWorker, as_completed

        _check_modules(client, scheduler, [__name__, calls[0][0].__module__])
        advance, *shared = arguments
        sent = client.scatter(shared, broadcast=True) if shared else []
        # No list of futures is kept, for workers keep a result for as long as its future.
        for future in as_completed(
            [client.submit(_call, *call, advance, *sent, pure=False) for call in calls],
            loop=client.loop,
        ):
            try:
                yield future.result()
            except CancelledError as error:  # what is shared was lost with all that had it
                raise BrokenProcessPool(str(error)) from None
            except KilledWorker as error:
                raise RunningError(
                    f'workers of {scheduler} were killed again and again, accepted are workers '
                    f'with memory for the work: {" ".join(str(error).split())}'
                ) from None


def _check_modules(client: Any, scheduler: str, names: Sequence[str]) -> None:
    """Raise RunningError for processes of a cluster that do not find modules: they would end at the
    first task, again and again."""

    def find() -> None:  # nested, it goes there as code, which needs no module
        for name in names:
            importlib.import_module(name)

    try:
        client.run_on_scheduler(find)
        client.run(find)
    except ImportError as error:
        raise RunningError(
            f'scheduler is {scheduler!r}, accepted is one that finds the modules of this process, '
            f'and so do its workers: {error}'
        ) from None


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """Of a scheduler that has a worker."""
    try:
        from dask.distributed import Client  # slow to import; no robot needs it
    except ImportError:
        raise RunningError(
            f'scheduler is {scheduler!r}, accepted with Dask installed: '
            "pip install 'dask[distributed]'"
        ) from None
    if not re.fullmatch(r'((tcp|tls)://)?[^/]+:\d+', scheduler):
        raise RunningError(
            f'scheduler is {scheduler!r}, accepted is an address such as tcp://host:8786'
        )
    try:
        client = Client(scheduler, timeout=CLUSTER_TIMEOUT_S, set_as_default=False)
    except OSError as error:
        raise RunningError(
            f'scheduler is {scheduler!r}, accepted is the address of a Dask '
            f'scheduler that answers: {error}'
        ) from None
    with client:
        try:
            client.wait_for_workers(1, CLUSTER_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise RunningError(
                f'scheduler is {scheduler!r}, accepted is one with a worker: none '
                f'came within {CLUSTER_TIMEOUT_S:g} s'
            ) from None
        yield client


def _file(work: Work[Piece, Result], store: Path, piece: Piece) -> tuple[Path, dict]:
    """Where a piece is kept, and all that its result depends on."""
    identity = work.identity(piece) | {'source': work.source()}
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    return store / f'{name}{work.suffix}', identity


def _load(work: Work[Piece, Result], path: Path) -> list[Result]:
    """What was kept; empty if there is nothing or no whole file."""
    try:
        return [work.decode(path.read_bytes())]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _save(work: Work[Piece, Result], path: Path, identity: dict, result: Result) -> None:
    """Whole or not at all, whenever the process is killed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, work.encode(identity, result))
    except OSError as error:
        raise RunningError(
            f'store is {path.parent}, accepted is a folder that can be written: {error}'
        ) from None
