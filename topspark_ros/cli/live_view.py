"""The terminal view of a running system."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from topspark_ros.control.battery import BatteryValidity
from topspark_ros.control.decision import Reason

if TYPE_CHECKING:  # the one needs ROS, the other takes time
    from topspark_ros.nodes.observer import Snapshot
    from topspark_ros.perception.messages import Message

UNITS = ((1.0, ''), (1e-3, 'm'), (1e-6, 'µ'), (1e-9, 'n'))
BAR_CELLS = 24
LINE_PERIOD_S = 2.0
SILENT_S = 5.0  # a topic that comes again and again, or a node, is missed after this time
GOOD, BAD, HEED, MAIN = 'green', 'bold red', 'yellow', 'bold cyan'
BATTERY = {validity.value: validity.name.lower() for validity in BatteryValidity}
REASONS = {reason.value: reason.name for reason in Reason}


def quantity(value: float, unit: str) -> str:
    """A value with an SI prefix: 0.00042 W is 420 µW; NaN is a dash."""
    if math.isnan(value):
        return '–'
    factor, prefix = next(((f, p) for f, p in UNITS if abs(value) >= f), UNITS[-1])
    return f'{0.0 if value == 0 else value / factor:.3g} {prefix if value else ""}{unit}'


def share(value: float) -> str:
    return f'{value:.1%}' if math.isfinite(value) else '–'


def period(seconds: float) -> str:
    """Two units at most: 65 min is 1 h 5 min; NaN is a dash."""
    if math.isnan(seconds):
        return '–'
    if seconds < 60.0:
        return f'{seconds:.0f} s'
    minutes, hours, days = (int(seconds // unit) for unit in (60, 3600, 86_400))
    if hours == 0:
        return f'{minutes} min {seconds % 60:.0f} s'
    return f'{hours} h {minutes % 60} min' if days == 0 else f'{days} d {hours % 24} h'


def bar(fraction: float, style: str) -> Text:
    """How full; all of it from 1 on, nothing of it for NaN."""
    full = 0 if math.isnan(fraction) else round(min(max(fraction, 0.0), 1.0) * BAR_CELLS)
    return Text.assemble(('█' * full, style), ('░' * (BAR_CELLS - full), 'dim'))


class Display:
    """Shows `view()` in place in a terminal, and elsewhere `line()` now and then."""

    def __init__(
        self, console: Console, view: Callable[[], RenderableType], line: Callable[[], str]
    ):
        self._console = console
        self._view = view
        self._line = line
        self._live: Live | None = None
        self._next_s = -math.inf

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, exception, traceback)

    def show(self) -> None:
        if self._live is not None:
            self._live.update(self._view(), refresh=True)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_PERIOD_S
            self._console.print(self._line(), highlight=False, markup=False, soft_wrap=True)


def line(snapshot: Snapshot, hint: str) -> str:
    """An observer's snapshot in one line; `hint` tells what may be wrong while it is empty."""
    learner, controller = snapshot.learner, snapshot.controller
    setting = learner or controller
    warned = [f'{name}: {text}' for name, text in _warnings(snapshot)]
    if setting is None:
        return ' | '.join(
            [f'nothing heard yet: {", ".join(_missing(snapshot))}', *warned, _help(snapshot, hint)]
        )
    parts = [
        f'T {setting.inference_timesteps:3d} infer {setting.training_timesteps:3d} train',
        f'learning {_learned(setting)}, {_part(setting)}',
    ]
    if learner is not None:
        parts.append(f'accuracy {share(learner.accuracy)}')
        parts.append(
            f'{quantity(learner.frame_rate, "Hz")}, latency {quantity(learner.latency_p95, "s")}'
        )
    limit_w = math.nan if controller is None else controller.power_limit
    parts.append(
        f'{quantity(snapshot.power_w, "W")} of '
        f'{"unlimited" if math.isnan(limit_w) else quantity(limit_w, "W")}'
    )
    if controller is not None:
        parts.append(
            f'charge {share(controller.state_of_charge)} '
            f'{BATTERY.get(controller.battery, controller.battery)}'
        )
    if snapshot.decisions:
        reason = snapshot.decisions[-1].reason
        parts.append(REASONS.get(reason, str(reason)))
    return ' | '.join([*parts, *warned, *_missing(snapshot)])


def view(snapshot: Snapshot, *, title: str, hint: str) -> Panel:
    """The same as a panel for some 100 columns."""
    parts: list[RenderableType] = [_figures(snapshot)] if snapshot.received else []
    warned = [(name, Text(text, HEED)) for name, text in _warnings(snapshot)]
    parts += _section('Warnings', warned)
    missing = [(Text(text, HEED),) for text in _missing(snapshot)]
    parts += _section('Not heard' if snapshot.received else 'Nothing heard yet', missing)
    if not snapshot.received:
        parts += [Text(), Text(_help(snapshot, hint))]
    # Last, because a low terminal cuts off the end.
    parts += _section('Decisions, T of inference/training', _decisions(snapshot))
    return Panel(Group(*parts), title=title)


def _section(title: str, rows: Sequence[tuple[RenderableType, ...]]) -> Iterator[RenderableType]:
    """A blank line, a title and the rows; nothing at all without rows."""
    if rows:
        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(*row)
        yield from (Text(), Text(title, 'bold'), table)


def _figures(snapshot: Snapshot) -> Table:
    learner, controller = snapshot.learner, snapshot.controller
    table = Table.grid(padding=(0, 2))
    table.add_column(style='bold', no_wrap=True)
    table.add_row('Timesteps', _timesteps(learner or controller))
    if learner is not None:
        table.add_row('Accuracy', _accuracy(learner, controller))
    table.add_row('Power', _power(snapshot))
    if controller is not None and not math.isnan(controller.energy_left):
        table.add_row('Mission', _mission(controller))
    table.add_row('Battery', _battery(controller, snapshot.battery))
    if learner is not None:
        table.add_row('Latency', _latency(learner, controller))
        table.add_row(
            'Frames',
            f'{quantity(learner.frame_rate, "Hz")}   '
            f'{learner.frames_classified} classified   {learner.frames_learned} learned'
            f'   {learner.frames_skipped} skipped   {learner.frames_dropped} dropped   '
            f'{learner.frames_rejected} rejected',
        )
    if controller is not None:
        table.add_row(
            'Corrected',
            f'energy of the profile x {controller.energy_correction:.2f}   '
            f'its inference time x {controller.latency_correction:.2f}   '
            f'{quantity(controller.latency_overhead, "s")} overhead',
        )
        table.add_row(
            'Budgets',
            Text(', '.join(source or 'unnamed' for source in controller.budget_sources) or 'none'),
        )
    return table


def _timesteps(setting: Message) -> Text:
    return Text.assemble(
        'T ',
        (f'{setting.inference_timesteps}', MAIN),
        ' in inference   T ',
        (f'{setting.training_timesteps}', MAIN),
        ' in training   learning ',
        (_learned(setting), MAIN if setting.learning_share else HEED),
        '   ',
        (_part(setting), MAIN if setting.frame_share == 1.0 else HEED),
    )


def _learned(setting: Message) -> str:
    return (
        'on'
        if setting.learning_share == 1.0
        else 'off'
        if setting.learning_share == 0.0
        else f'{share(setting.learning_share)} of them'
    )


def _part(setting: Message) -> str:
    return (
        'all frames'
        if setting.frame_share == 1.0
        else 'paused'
        if setting.frame_share == 0.0
        else f'{share(setting.frame_share)} of frames'
    )


def _accuracy(learner: Message, controller: Message | None) -> Text:
    text = Text.assemble(
        (share(learner.accuracy), MAIN),
        f' of the last {learner.accuracy_window} labelled frames'
        f'   {learner.recruited_neurons} neurons',
    )
    if learner.questions:
        text.append(f'   {learner.questions} questions, {learner.answers} answered')
    if controller is not None:
        text.append(f'   expected {share(controller.expected_accuracy)}')
        if not math.isnan(controller.min_accuracy):
            text.append(f'   floor {share(controller.min_accuracy)}')
    return text


def _power(snapshot: Snapshot) -> Group:
    learner, controller, power_w = snapshot.learner, snapshot.controller, snapshot.power_w
    limit_w = math.nan if controller is None else controller.power_limit
    style = BAD if power_w > limit_w else GOOD
    if math.isnan(limit_w):
        first = Text.assemble((quantity(power_w, 'W'), style), '   no limit')
    else:
        used = power_w / limit_w if limit_w > 0.0 else math.inf if power_w > 0.0 else 0.0
        first = Text.assemble(
            bar(used, style),
            '   ',
            (quantity(power_w, 'W'), style),
            f' of {quantity(limit_w, "W")}',
            (f'   {share(used)}', style),
        )
    meter = next(status.meter for status in (learner, controller) if status is not None)
    notes = [
        f'measured by {meter}'
        if meter
        else 'estimated'
        if learner is None
        else f'estimated for {learner.energy_model}'
    ]
    if controller is not None:
        notes.append(f'expected {quantity(controller.expected_power, "W")}')
        if controller.power_allowed < limit_w:
            notes.append(f'allowed {quantity(controller.power_allowed, "W")}: more was used before')
    return Group(first, Text('   '.join(notes), 'dim'))


def _mission(controller: Message) -> str:
    text = f'{quantity(controller.energy_left, "J")} left'
    if not math.isnan(controller.time_left):
        text += (
            f' for {period(controller.time_left)}   '
            f'{quantity(controller.mission_power, "W")} lasts to the end'
        )
    return text


def _battery(controller: Message | None, battery: Message | None) -> Text:
    if controller is None:
        charge, state = (math.nan if battery is None else battery.percentage), 'no controller'
    else:
        charge = controller.state_of_charge
        state = BATTERY.get(controller.battery, str(controller.battery))
    style = GOOD if state == 'known' else HEED
    text = Text.assemble(bar(charge, style), f'   {share(charge)}   ', (state, style))
    if battery is not None:
        for value, unit in ((battery.voltage, 'V'), (battery.current, 'A')):
            text.append('' if math.isnan(value) else f'   {quantity(value, unit)}')
    return text


def _latency(learner: Message, controller: Message | None) -> Text:
    deadline_s = math.nan if controller is None else controller.deadline
    late = learner.latency_p95 > deadline_s
    return Text.assemble(
        f'{quantity(learner.latency_p50, "s")} median   95% within ',
        (quantity(learner.latency_p95, 's'), BAD if late else GOOD),
        '   ',
        'no deadline' if math.isnan(deadline_s) else f'deadline {quantity(deadline_s, "s")}',
        f'   inference {quantity(learner.inference_time, "s")}',
    )


def _decisions(snapshot: Snapshot) -> list[tuple[RenderableType, ...]]:
    rows: list[tuple[RenderableType, ...]] = []
    for made in reversed(snapshot.decisions):
        clock = time.strftime('%H:%M:%S', time.localtime(made.header.stamp.sec))
        reason = REASONS.get(made.reason, str(made.reason))
        training = made.training_timesteps if made.learning_share else '–'
        rows.append(
            (
                f'{clock}  #{made.sequence}',
                Text(reason, 'bold'),
                f'T {made.inference_timesteps}/{training}',
                Text(made.detail),
            )
        )
    return rows


def _warnings(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Nodes that are not well, not active or no longer there, and what they say."""
    warned = []
    for name, health in sorted(snapshot.health.items()):
        age_s = snapshot.now_s - health.received_s
        message = ' '.join(health.message.split())  # a traceback has lines
        rejected = [
            f'{value} {key}'
            for key, value in health.values.items()
            if key.startswith('rejected on')
        ]
        if age_s > SILENT_S:
            warned.append((name, f'silent for {period(age_s)}; it said: {message}'))
        elif health.level > 0:
            warned.append((name, ', '.join([message, *rejected])))
        elif health.values.get('state', 'active') != 'active':
            warned.append((name, message))
    return warned


def _help(snapshot: Snapshot, hint: str) -> str:
    others = ', '.join(snapshot.elsewhere)
    return f'There is a learner in {others}.' if others else hint


def _missing(snapshot: Snapshot) -> list[str]:
    """Topics that have not come, or come no longer, and why that may be."""
    texts = []
    for topic in snapshot.topics:
        age_s = snapshot.now_s - topic.received_s
        if not math.isnan(age_s) and not (topic.periodic and age_s > SILENT_S):
            continue
        facts = [f'publishers: {topic.publishers}']
        if not math.isnan(age_s):
            facts.append(f'last heard {period(age_s)} ago')
        if topic.incompatible:
            facts.append(f'QoS that does not fit: {topic.incompatible}')
        texts.append(f'{topic.name} ({", ".join(facts)})')
    return texts
