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
SERVICE = re.compile(r"\(srv\.(\w+), '(\w+)', self\.")
PUBLISHER = re.compile(r"create_lifecycle_publisher\(\s*(?:msg\.)?(\w+), '([^']+)'")


def published_topics() -> dict[str, str]:
    """Topic in no namespace -> type, of all our nodes."""
    topics = {'/diagnostics': 'DiagnosticArray'}
    for path in (ROOT / 'topspark_ros' / 'nodes').glob('*.py'):
        for kind, name in PUBLISHER.findall(path.read_text()):
            topics['/' + name.replace('~', path.stem)] = kind
    return topics


def services() -> dict[str, str]:
    """Service in no namespace -> type, of the learner and what it is made of."""
    found = {}
    for path in (ROOT / 'topspark_ros' / 'nodes').glob('*.py'):
        for kind, name in SERVICE.findall(path.read_text()):
            found[f'/snn_learner/{name}'] = f'topspark_ros/srv/{kind}'
    return found


def fields(definition: str) -> set[str]:
    lines = (line.partition('#')[0] for line in definition.splitlines())
    return {line.split()[1] for line in lines if line.strip() and '=' not in line}


def fields_of(message: str) -> set[str]:
    return fields((ROOT / 'msg' / f'{message}.msg').read_text())


def strings(value) -> list[str]:
    """Every string in it that is no key."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


BUTTONS = {name: panel for name, panel in PANELS.items() if name.startswith('CallService!')}
SHOWN = {name: panel for name, panel in PANELS.items() if name not in BUTTONS}
PATHS = sorted({text for text in strings(SHOWN) if text.startswith('/')})


@pytest.mark.parametrize('path', PATHS)
def test_every_path_is_a_topic_of_ours_or_a_field_of_it(path):
    topic, _, field = path.partition('.')
    kind = published_topics().get(topic)
    assert kind, f'{topic} is published by no node'
    assert not field or field in fields_of(kind)


@pytest.mark.parametrize('panel', BUTTONS)
def test_every_button_calls_a_service_of_ours_with_fields_that_it_has(panel):
    config = BUTTONS[panel]
    kind = config['datatype'].rpartition('/')[2]
    assert services()[config['serviceName']] == config['datatype']
    request = (ROOT / 'srv' / f'{kind}.srv').read_text().partition('\n---\n')[0]
    assert set(json.loads(config['requestPayload'])) == fields(request)


@pytest.mark.parametrize('panel', SHOWN)
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
    whole = {
        'Image!camera': 'Image',
        'Image!events': 'Image',
        'Image!learner': 'Image',
        'DiagnosticSummary!nodes': 'DiagnosticArray',
        'RawMessages!classes': 'Classes',
    }
    for path in shown:
        assert ('.' in path) == (panel not in whole)
        assert panel not in whole or topics[path] == whole[panel]


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
