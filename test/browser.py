"""A real browser without a window: Chromium or Chrome, told what to do by its DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

PROGRAMS = ('chromium-headless-shell', 'google-chrome', 'chromium')
OPTIONS = (
    '--headless',
    '--no-sandbox',  # for users who may make no name spaces, and root; it sees our pages alone
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--remote-debugging-pipe',
)


def program() -> str | None:
    """The first that is on the PATH. One in a snap does not see the folders of tests."""
    found = filter(None, map(shutil.which, PROGRAMS))
    return next((path for path in found if os.path.realpath(path) != '/usr/bin/snap'), None)


class Browser:
    """errors: what the console was told since a page was opened. requests: addresses."""

    def __init__(self, path: str, profile: Path):
        to_read, self._outgoing = os.pipe()
        incoming, to_write = os.pipe()
        # The protocol is on the descriptors 3 and 4, messages end with a zero byte.
        self._process = subprocess.Popen(
            [
                'bash',
                '-c',
                f'exec "$@" 3<&{to_read} 4>&{to_write}',
                'browser',
                path,
                *OPTIONS,
                f'--user-data-dir={profile}',
            ],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._incoming = incoming
        self._received = b''
        self._calls = 0
        self._session: str | None = None
        self._events: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._outgoing)
        os.close(self._incoming)

    def open(self, page: Path) -> None:
        """In a new tab; returns when it is loaded, pictures included."""
        self._session = None
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.errors.clear()
        self.requests.clear()
        self._events.clear()
        self.call('Page.navigate', url=page.absolute().as_uri())
        while 'Page.loadEventFired' not in self._events:
            self._receive()

    def evaluate(self, expression: str):
        """The value of an expression of JavaScript."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    def click(self, selector: str) -> None:
        """In the middle of the first element that the CSS selector finds."""
        x, y = self.evaluate(
            f'(() => {{ const element = document.querySelector({json.dumps(selector)});'
            "element.scrollIntoView({block: 'center', inline: 'center'});"
            'const box = element.getBoundingClientRect();'
            'return [box.x + box.width / 2, box.y + box.height / 2]; })()'
        )
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def press(self, key: str, code: int, text: str = '') -> None:
        """A key. code: its Windows virtual key code."""
        about = {'key': key, 'code': key, 'windowsVirtualKeyCode': code}
        self.call('Input.dispatchKeyEvent', type='keyDown', text=text, **about)
        self.call('Input.dispatchKeyEvent', type='keyUp', **about)

    def call(self, method: str, **parameters) -> dict:
        self._calls += 1
        message = {'id': self._calls, 'method': method, 'params': parameters}
        if self._session is not None:
            message['sessionId'] = self._session
        os.write(self._outgoing, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._calls:
                assert 'result' in answer, answer
                return answer['result']

    def _receive(self) -> dict:
        while b'\0' not in self._received:
            part = os.read(self._incoming, 2**16)
            assert part, f'the browser ended with {self._process.wait()}'
            self._received += part
        line, _, self._received = self._received.partition(b'\0')
        message = json.loads(line)
        self._note(message.get('method', ''), message.get('params', {}))
        return message

    def _note(self, event: str, about: dict) -> None:
        self._events.append(event)
        if event == 'Network.requestWillBeSent':
            self.requests.append(about['request']['url'])
        elif event in ('Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded'):
            self.errors.append(json.dumps(about))
