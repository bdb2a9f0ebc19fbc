"""config/foxglove_layout.json names our topics and their fields, and is whole in itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from topspark_ros.control.battery import BatteryValidity
from topspark_ros.control.decision import Reason

ROOT = Path(__file__).parents[1]
LAYOUT = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text())
PANELS = LAYOUT['configById']
PUBLISHER = re.compile(r"create_lifecycle_publisher\(\s*(?:msg\.)?(\w+), '([^']+)'")


def published_topics() -> dict[str, str]:
    """Topic in no namespace -> type, of all our nodes."""
    topics = {'/diagnostics': 'DiagnosticArray'}
    for path in (ROOT / 'topspark_ros' / 'nodes').glob('*.py'):
        for kind, name in PUBLISHER.findall(path.read_text()):
            topics['/' + name.replace('~', path.stem)] = kind
    return topics


def fields(message: str) -> set[str]:
    lines = (
        line.partition('#')[0]
        for line in (ROOT / 'msg' / f'{message}.msg').read_text().splitlines()
    )
    return {line.split()[1] for line in lines if line.strip() and '=' not in line}


def strings(value) -> list[str]:
    """Every string in it that is no key."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


PATHS = sorted({text for text in strings(PANELS) if text.startswith('/')})


@pytest.mark.parametrize('path', PATHS)
def test_every_path_is_a_topic_of_ours_or_a_field_of_it(path):
    topic, _, field = path.partition('.')
    kind = published_topics().get(topic)
    assert kind, f'{topic} is published by no node'
    assert not field or field in fields(kind)


@pytest.mark.parametrize('panel', PANELS)
def test_every_panel_shows_something_of_the_right_kind(panel):
    topics, config = published_topics(), PANELS[panel]
    kind = panel.partition('!')[0]
    if kind == 'Plot':
        shown = [path['value'] for path in config['paths']]
    else:
        shown = [
            config['imageMode']['imageTopic']
            if kind == 'Image'
            else config[
                {
                    'Indicator': 'path',
                    'RawMessages': 'topicPath',
                    'DiagnosticSummary': 'topicToRender',
                }[kind]
            ]
        ]
    assert shown and set(shown) <= set(PATHS)
    whole = {'Image': 'Image', 'DiagnosticSummary': 'DiagnosticArray'}
    for path in shown:
        assert ('.' in path) == (kind not in whole)
        assert kind not in whole or topics[path] == whole[kind]


def test_the_panels_that_are_placed_are_those_that_are_configured():
    def placed(node) -> list[str]:
        if isinstance(node, str):
            return [node]
        assert node['direction'] in ('row', 'column') and 0 < node['splitPercentage'] < 100
        return placed(node['first']) + placed(node['second'])

    assert sorted(placed(LAYOUT['layout'])) == sorted(PANELS)


@pytest.mark.parametrize(
    'panel, names',
    [
        ('Indicator!reason', {reason.value: reason.name for reason in Reason}),
        (
            'Indicator!battery',
            {validity.value: validity.name.lower() for validity in BatteryValidity},
        ),
    ],
)
def test_indicators_name_every_value(panel, names):
    rules = PANELS[panel]['rules']
    assert {int(rule['rawValue']): rule['label'] for rule in rules} == names
    assert {rule['operator'] for rule in rules} == {'='}
