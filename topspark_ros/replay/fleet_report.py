"""The report over many bags: a summary of each setting over all of them, and a table by bag."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from matplotlib.ticker import EngFormatter

from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.pages import HTML_PAGE, escaped, table, write_page
from topspark_ros.replay.archive import versions, write_json
from topspark_ros.replay.figures import figures
from topspark_ros.replay.metrics import UNKNOWN, neurobench_section
from topspark_ros.replay.report import PAGE, write_report
from topspark_ros.replay.results import Evaluation

BAGS = 'bags'  # sub-folder of the reports of each
HEADER = (
    'frames',
    'labelled',
    'accuracy',
    'energy of an inference',
    'energy of a frame',
    'mean power',
    'processing time a frame',
)


@dataclass(frozen=True)
class Pooled:
    """Runs of one setting together. Energies and powers are estimated. NaN: unknown.

    bags: how many.
    frames, classified, labelled, right: sums, as of Figures.
    accuracy: share of right ones of all that are labelled, 0..1.
    inference_j, frame_j: means of classified frames, without and with learning, J.
    power_w: mean, by the length of what was evaluated, W.
    latency_s: time that the evaluation took for a message of the input, its learning and the
        reading of the bag included, s.
    """

    bags: int
    frames: int
    classified: int
    labelled: int
    right: int
    accuracy: float
    inference_j: float
    frame_j: float
    power_w: float
    latency_s: float


def pooled(runs: Sequence[Evaluation]) -> Pooled:
    """What runs come to together. Where a figure of a run is unknown, it is of the others."""
    results = [figures(run) for run in runs]
    classified = [each.classified for each in results]
    labelled, right = sum(each.labelled for each in results), sum(each.right for each in results)
    return Pooled(
        bags=len(runs),
        frames=sum(each.frames for each in results),
        classified=sum(classified),
        labelled=labelled,
        right=right,
        accuracy=right / labelled if labelled else math.nan,
        inference_j=_mean([each.inference_j for each in results], classified),
        frame_j=_mean([each.frame_j for each in results], classified),
        power_w=_mean([each.power_w for each in results], [run.bag_s for run in runs]),
        latency_s=_mean(
            [run.took_s / max(1, run.counts['messages']) for run in runs],
            [run.counts['messages'] for run in runs],
        ),
    )


def write_fleet_report(
    folder: Path, bags: Mapping[str, Sequence[Evaluation]], rejected: Sequence[str]
) -> Path:
    """The page over all bags, fleet.json with its figures, and in BAGS the report of each bag.

    folder: made if it is not there.
    bags: runs by the name of the bag, a relative path.
    rejected: a line for each run that failed.

    Returns the page as HTML.
    """
    for name, runs in bags.items():
        write_report(folder / BAGS / name, runs)
    together = by_setting(bags)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / 'fleet.json',
        {
            'made_with': versions(),
            'summary': {name: asdict(pooled(runs)) for name, runs in together.items()},
            'bags': {
                bag: {run.name: asdict(pooled([run])) for run in runs} for bag, runs in bags.items()
            },
            'failed': list(rejected),
        },
    )
    lines = [f'# Evaluation of {len(bags)} bags', '']
    lines += table(
        ['run', 'bags', *HEADER],
        [[escaped(name), str(len(runs)), *cells(pooled(runs))] for name, runs in together.items()],
    )
    lines += [
        '',
        'All frames of all bags count the same; mean power is by length. Energies and powers are '
        'estimated. Accuracy is prequential: a frame counts as it was classified before it was '
        'learned. The processing time includes learning and the reading of the bag, on the '
        'machine that evaluated it.',
        '',
        '## Each bag',
        '',
    ]
    lines += table(
        ['bag', 'run', *HEADER],
        [
            [
                f'[{escaped(bag)}]({quote(f"{BAGS}/{bag}/{PAGE}")})',
                escaped(run.name),
                *cells(pooled([run])),
            ]
            for bag, runs in bags.items()
            for run in runs
        ],
    )
    lines += neurobench_section(
        {
            name: NeuroBenchMetrics.mean([run.neurobench for run in runs])
            for name, runs in together.items()
        },
        'Means of the bags, each as in its report.',
    )
    if rejected:
        lines += ['', '## What failed', '', *(f'- {escaped(line)}' for line in rejected)]
    lines += ['', f'`fleet.json` has all figures; `{HTML_PAGE}` is this page.']
    return write_page(folder / PAGE, lines)


def by_setting(bags: Mapping[str, Sequence[Evaluation]]) -> dict[str, list[Evaluation]]:
    """The runs of all bags by their own name."""
    together: dict[str, list[Evaluation]] = {}
    for runs in bags.values():
        for run in runs:
            together.setdefault(run.name, []).append(run)
    return together


def cells(of: Pooled) -> list[str]:
    """As text, in the order of HEADER."""
    return [
        f'{of.frames:,}',
        f'{of.labelled:,}',
        UNKNOWN if math.isnan(of.accuracy) else f'{of.accuracy:.1%}',
        *(
            UNKNOWN if math.isnan(value) else EngFormatter(unit, places=1)(value)
            for value, unit in (
                (of.inference_j, 'J'),
                (of.frame_j, 'J'),
                (of.power_w, 'W'),
                (of.latency_s, 's'),
            )
        ),
    ]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Weighted, of those that are known."""
    known = [(v, w) for v, w in zip(values, weights) if not math.isnan(v)]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else math.nan
