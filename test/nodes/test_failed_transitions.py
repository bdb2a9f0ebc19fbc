"""A transition that fails half-way undoes what it did, wherever it fails, in every node."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from every_node import alive, case  # noqa: F401  (a fixture)

import pytest
from rclpy.lifecycle import TransitionCallbackReturn

from topspark_ros import nodes
from topspark_ros.nodes.managed_node import ManagedNode, NodeFault
from topspark_ros.nodes.snn_learner import SnnLearner

NODES = Path(nodes.__file__).parent
SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)
BASE = ('managed_node.py', 'undo.py', 'diagnostics.py', 'clock.py', 'parameters.py')
ENTITIES = ('publishers', 'subscriptions', 'services', 'clients', 'timers')


def holdings(node: ManagedNode) -> list:
    """All that a transition can make, by identity; publishers with whether they are enabled."""
    return [
        *({id(entity) for entity in getattr(node, kind)} for kind in ENTITIES),
        {
            id(publisher)
            for publisher in node.publishers
            if getattr(publisher, 'is_activated', False)
        },
        set(threading.enumerate()),
    ]


class Steps:
    """Counts the lines that a transition runs, in all modules of the nodes but the base; fails
    before one of them."""

    def __init__(self, fail_at: int | None = None, fault: type[Exception] = RuntimeError):
        self.count = 0
        self._fail_at = fail_at
        self._fault = fault

    def __enter__(self) -> Steps:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_) -> None:
        sys.settrace(self._before)

    def _call(self, frame, event, argument):
        path = Path(frame.f_code.co_filename)
        return self._line if path.parent == NODES and path.name not in BASE else None

    def _line(self, frame, event, argument):
        if event == 'line':
            if self.count == self._fail_at:
                self.count += 1
                raise self._fault(f'step {self._fail_at}')
            self.count += 1
        return self._line


def steps_of(trigger) -> int:
    with Steps() as steps:
        assert trigger() == SUCCESS
    return steps.count


def works(node: ManagedNode) -> None:
    """From inactive: it becomes active, with a worker of its own if any, and inactive again."""
    before = holdings(node)
    threads = threading.active_count()
    assert node.trigger_activate() == SUCCESS
    assert threading.active_count() - threads == isinstance(node, SnnLearner)
    assert node.trigger_deactivate() == SUCCESS
    assert holdings(node) == before


@pytest.mark.parametrize('fault', [NodeFault, RuntimeError])
def test_configure_undoes_what_it_did_wherever_it_fails(case, fault):
    with alive(*case) as node:
        empty = holdings(node)
        count = steps_of(node.trigger_configure)
        assert count and node.trigger_cleanup() == SUCCESS and holdings(node) == empty
        for step in range(count):
            with Steps(step, fault):
                assert node.trigger_configure() == FAILURE
            assert node.state == 'unconfigured' and holdings(node) == empty, f'step {step}'
        assert node.trigger_configure() == SUCCESS
        works(node)
        assert node.trigger_cleanup() == SUCCESS and holdings(node) == empty


@pytest.mark.parametrize('fault', [NodeFault, RuntimeError])
def test_activate_undoes_what_it_did_wherever_it_fails(case, fault):
    with alive(*case) as node:
        assert node.trigger_configure() == SUCCESS
        inactive = holdings(node)
        count = steps_of(node.trigger_activate)
        assert count and node.trigger_deactivate() == SUCCESS and holdings(node) == inactive
        for step in range(count):
            with Steps(step, fault):
                assert node.trigger_activate() == FAILURE
            assert node.state == 'inactive' and holdings(node) == inactive, f'step {step}'
        works(node)


class Stuck:
    """In a node that is made within: once armed, the first destruction of an entity fails."""

    def __init__(self, monkeypatch):
        self.armed, self.entity = False, None
        self._rescue = None
        for kind in ('lifecycle_publisher', 'subscription', 'service', 'timer'):
            self._wrap(monkeypatch, f'destroy_{kind}')

    def _wrap(self, monkeypatch, name: str) -> None:
        destroy = getattr(ManagedNode, name)

        def reject(node, entity):
            if self.armed:
                self.armed, self.entity = False, entity
                self._rescue = lambda: destroy(node, entity)
                raise OSError('this one stays')
            return destroy(node, entity)

        monkeypatch.setattr(ManagedNode, name, reject)

    def free(self) -> None:
        self._rescue()


@pytest.mark.parametrize('transition', ['deactivate', 'cleanup', 'shutdown', 'failed activate'])
def test_what_cannot_be_undone_keeps_nothing_else_from_being_so(
    case, transition, monkeypatch, capfd
):
    stuck = Stuck(monkeypatch)
    with alive(*case) as node:
        empty = holdings(node)
        assert node.trigger_configure() == SUCCESS
        if transition == 'failed activate':
            count = steps_of(node.trigger_activate)
            assert node.trigger_deactivate() == SUCCESS
            stuck.armed = True
            with Steps(count - 1):
                result = node.trigger_activate()
        else:
            if transition != 'cleanup':
                assert node.trigger_activate() == SUCCESS
            stuck.armed = True
            result = getattr(node, f'trigger_{transition}')()
        left = stuck.entity
        if transition == 'failed activate' and left is None:
            return  # its last step is the first to create something
        assert left is not None and 'this one stays' in capfd.readouterr().err
        stuck.free()
        assert holdings(node) == empty
        if transition == 'shutdown':
            assert result == SUCCESS and node.state == 'finalized'
            return
        # What is left is not known: the transition says so, and nothing at all is kept.
        assert result == ERROR and node.state == 'unconfigured'
        assert node.trigger_configure() == SUCCESS
        works(node)
