"""What all reports share: how a page is written, as Markdown and beside it as one HTML file.

The HTML opens from the disk. Its pictures, style and script are inside, and its policy (Content
Security Policy) lets a browser run nothing else and request nothing. Names of classes, runs and
files may be a stranger's: `escaped` and `code` show them as they are, and HTML in the Markdown is
shown, not passed on.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from .files import read_bytes, write_text

HTML_PAGE = 'report.html'
MAX_PICTURE_BYTES = 2**26
LONG_CELL = 24  # of a table, characters of Markdown; a longer one is broken into lines

_MARKUP = re.compile(r'[\\`*\[\]<&~]|(?<![^\W_])_|_(?![^\W_])')  # snake_case is none


def write_page(path: Path, lines: Sequence[str]) -> Path:
    """Write a page of Markdown to `path`, and beside it HTML_PAGE; returns that.

    Pictures are PNG files beside the page. Links lead to pages like this one in other folders.
    Each of the two files is the old one or the whole new one at any time.

    Raises FileError for a picture that is not there; nothing is written then.
    """
    markdown = '\n'.join(lines) + '\n'
    page = _html(markdown, path.parent)
    html_path = path.with_name(HTML_PAGE)
    write_text(path, markdown)
    write_text(html_path, page)
    return html_path


# Markdown ----------------------------------------------------------------------------------


def escaped(words: str) -> str:
    """Words as they are, on one line."""
    return _MARKUP.sub(r'\\\g<0>', ' '.join(words.split()))


def code(words: str) -> str:
    """Words as they are, on one line, as code."""
    words = ' '.join(words.split())
    fence = '`' * (1 + max(map(len, re.findall('`+', words)), default=0))
    return f'{fence}{words}{fence}' if len(fence) == 1 else f'{fence} {words} {fence}'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; cells are Markdown."""
    return [
        '| ' + ' | '.join(cell.replace('|', r'\|') for cell in cells) + ' |'
        for cells in (header, ['---'] * len(header), *rows)
    ]


# HTML --------------------------------------------------------------------------------------

_STYLE = r"""
:root { color-scheme: light dark;
  --ink: #1c1f23; --paper: #fff; --faint: #667; --line: #d8dce0; --shade: #f3f5f7;
  --link: #0a58a8; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #dfe3e8; --paper: #16191d; --faint: #9aa3ad; --line: #363c43; --shade: #20252b;
  --link: #7ab8f5; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2.5rem) 4rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
p:has(img) { max-width: none; }
a { color: var(--link); }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
code { padding: .1em .3em; border-radius: 3px; background: var(--shade);
  font: .9em ui-monospace, monospace; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: start; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { padding: 0; background: var(--shade); }
td { white-space: nowrap; }
td.long { min-width: min(16rem, 50vw); white-space: normal; overflow-wrap: anywhere; }
tbody tr:hover { background: var(--shade); }
th button { width: 100%; padding: .45rem .8rem; border: 0; background: none; color: inherit;
  font: inherit; font-weight: 600; text-align: start; white-space: nowrap; cursor: pointer; }
th button::after { content: ' \2195'; color: var(--faint); }
[aria-sort=ascending] button::after { content: ' \2191'; color: inherit; }
[aria-sort=descending] button::after { content: ' \2193'; color: inherit; }
:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
"""

# A click on a header sorts up, the next one down, the third one as it was. Numbers come before
# words, with their SI prefixes; what is unknown comes last both ways.
_SCRIPT = r"""
'use strict';
const DIGITS = /^[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?/;
const UNIT = /^\s?([pn\u00b5mkMG]?)(?:J|W|s|Hz)\b/;
const POWERS = {p: -12, n: -9, '\u00b5': -6, m: -3, k: 3, M: 6, G: 9};
const WORDS = new Intl.Collator('en', {numeric: true});
const NEXT = {none: 'ascending', ascending: 'descending', descending: 'none'};

function keyOf(row, column) {
  const words = row.cells[column].textContent.trim();
  const [digits] = DIGITS.exec(words) ?? [''];
  const [, prefix] = UNIT.exec(words.slice(digits.length)) ?? [];
  const number = digits ? digits.replaceAll(',', '') * 10 ** (POWERS[prefix] ?? 0) : NaN;
  return {row, words, number, unknown: words === '' || words === '\u2013'};
}

function compare(a, b) {
  return isNaN(a.number) - isNaN(b.number) || a.number - b.number
    || WORDS.compare(a.words, b.words);
}

for (const table of document.querySelectorAll('table')) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body?.rows ?? []];
  headers.forEach((header, column) => header.addEventListener('click', () => {
    const order = NEXT[header.getAttribute('aria-sort')];
    headers.forEach(each => each.setAttribute('aria-sort', each === header ? order : 'none'));
    const sign = order === 'descending' ? -1 : 1;
    const rows = order === 'none' ? original : original.map(row => keyOf(row, column))
      .sort((a, b) => a.unknown - b.unknown || sign * compare(a, b)).map(key => key.row);
    body?.append(...rows);
  }));
}
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}</main>
<script>{script}</script>
</body>
</html>
"""


def _html(markdown: str, folder: Path) -> str:
    """folder: of the page, where its pictures are."""
    reader = _Reader('commonmark', {'html': False}, renderer_cls=_Renderer).enable('table')
    environment = {'folder': folder}
    tokens = reader.parse(markdown, environment)
    heading = next(token.children or () for token in tokens if token.type == 'inline')
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(_STYLE)}; "
        f"script-src {_hash(_SCRIPT)}; base-uri 'none'; form-action 'none'"
    )
    return _PAGE.format(
        policy=policy,
        title=html.escape(''.join(token.content for token in heading)),
        style=_STYLE,
        body=reader.renderer.render(tokens, reader.options, environment),
        script=_SCRIPT,
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


class _Reader(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """A link or picture is one only if it is in the folder of the page or below it."""
        path = unquote(url)
        return ':' not in path and not {'', '..'} & set(path.split('/'))


class _Renderer(RendererHTML):
    """The rules of the base class, but for those that have the names of its tokens here."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        path = env['folder'] / unquote(str(tokens[idx].attrs['src']))
        picture = base64.b64encode(read_bytes(path, MAX_PICTURE_BYTES, 'a picture as PNG'))
        tokens[idx].attrs['src'] = f'data:image/png;base64,{picture.decode()}'
        return super().image(tokens, idx, options, env)

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        target = str(tokens[idx].attrs['href']).rpartition('/')[0]
        tokens[idx].attrs['href'] = f'{target or "."}/{HTML_PAGE}'
        return self.renderToken(tokens, idx, options, env)

    def table_open(self, *_: Any) -> str:
        return '<div class="scroll" role="region" aria-label="table" tabindex="0"><table>\n'

    def table_close(self, *_: Any) -> str:
        return '</table></div>\n'

    def th_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        label = '' if tokens[idx + 1].content else ' aria-label="names of the rows"'
        return f'<th scope="col" aria-sort="none"><button type="button"{label}>'

    def th_close(self, *_: Any) -> str:
        return '</button></th>\n'

    def td_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return '<td class="long">' if len(tokens[idx + 1].content) > LONG_CELL else '<td>'
