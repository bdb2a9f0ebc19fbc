"""A report.html read as a browser does, but without one."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

PNG = b'\x89PNG\r\n\x1a\n'
ADDRESSES = ('src', 'href', 'srcset', 'action', 'formaction', 'data', 'poster', 'background')


class Report(HTMLParser):
    """elements: name and attributes of each, in their order. texts: what is between the tags."""

    def __init__(self, page: Path):
        super().__init__()
        self.page = page
        self.source = page.read_text(encoding='utf-8')
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> list[str]:
        """Alternative texts of the pictures, each of which is inside and a PNG."""
        for attributes in self.of('img'):
            kind, _, content = attributes['src'].partition(',')
            assert kind == 'data:image/png;base64'
            assert base64.b64decode(content, validate=True).startswith(PNG)
        return [attributes['alt'] for attributes in self.of('img')]

    def links(self) -> list[str]:
        """Addresses of the reports that it links to, each of which is there."""
        found = [attributes['href'] for attributes in self.of('a')]
        for address in found:
            target = self.page.parent / unquote(address)
            assert target.name == 'report.html' and target.is_file(), address
        return found


def self_contained(page: Path) -> Report:
    """The page, which asks nothing of anybody: neither for a picture, nor for style or script."""
    report = Report(page)
    inside = {attributes['src'] for attributes in report.of('img')} | set(report.links())
    for tag, attributes in report.elements:
        assert tag not in ('link', 'iframe', 'object', 'embed', 'base', 'form'), tag
        assert not [name for name in attributes if name.startswith('on')], attributes
        assert not {attributes[name] for name in ADDRESSES if name in attributes} - inside
    report.pictures()
    assert len(report.of('script')) == len(report.of('style')) == 1
    assert 'url(' not in report.source and '@import' not in report.source
    (policy,) = (each for each in report.of('meta') if 'http-equiv' in each)
    assert policy['http-equiv'] == 'Content-Security-Policy'
    assert policy['content'].startswith("default-src 'none'; img-src data:;")
    assert 'unsafe' not in policy['content'] and 'http' not in policy['content']
    return report
