"""Pages as Markdown and HTML: they show a stranger's words, ask for nothing, and can be sorted."""

from __future__ import annotations

import json
import random

import browser
import pytest
from html_reports import Report, self_contained
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.files import FileError
from topspark_ros.pages import code, escaped, table, write_page
from topspark_ros.plotting import picture

HOSTILE = (
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '"><b>bold</b>',
    '[a link](https://example.org)',
    '[a link](javascript:alert(1))',
    '<https://example.org>',
    '![a picture](/etc/passwd)',
    '![a picture](../secret.png)',
    '[a page](other/README.md)',
    '[a reference]: https://example.org',
    '**bold** _slanted_ `code` ~~gone~~ a|b',
    '</title></style><script>alert(1)</script>',
    'a&lt;b &#60;script&#62; &amp;',
    'back\\slash \\`tick\\` \\',
    '``two`` ` ticks `',
    'two\nlines\r\nand a \ttab',
    '{policy} %s {0}',
)
ROWS = [
    # name, share, energy, T, count: each in its own order
    ('run 10', '9.5 %', '3.4 µJ', 'T = 64', '1,024'),
    ('run 2', '12.0 %', '120 nJ', 'T = 8', '7 / 12'),
    ('Run 1', '–', '1.2 mJ', 'T = 16', '1e-3'),
    ('apple', '-3.0 %', '0 J', '', '–'),
    ('zebra', '100 %', '2 J', 'controller', '12'),
]
SORTED = [
    ['apple', 'Run 1', 'run 2', 'run 10', 'zebra'],
    ['apple', 'run 10', 'run 2', 'zebra', 'Run 1'],
    ['apple', 'run 2', 'run 10', 'Run 1', 'zebra'],
    ['zebra', 'run 2', 'Run 1', 'run 10', 'apple'],
    ['Run 1', 'run 2', 'zebra', 'run 10', 'apple'],
]


def draw(path) -> None:
    with picture(path) as (axis,):
        axis.plot([1, 3, 2])


@pytest.fixture
def page(tmp_path):
    """Two pictures, a table of figures, a wide one of hostile words, and another page below."""
    (tmp_path / 'T_8').mkdir()
    write_page(tmp_path / 'T_8' / 'README.md', ['# T = 8', '', 'The other page.'])
    for name in ('accuracy.png', 'history.png'):
        draw(tmp_path / name)
    hostile = [escaped(words) for words in HOSTILE]
    lines = [
        f'# Evaluation: {escaped(HOSTILE[0])}',
        '',
        *table(('run', 'share', 'energy', 'T', 'count'), ROWS),
        '',
        '![Accuracy](accuracy.png)',
        '',
        '![History](history.png)',
        '',
        *table(['', *hostile], [[code(words), *hostile] for words in HOSTILE]),
        '',
        *(f'- {words}' for words in hostile),
        '- [T = 8](T_8/README.md)',
    ]
    return write_page(tmp_path / 'README.md', lines)


def flat(words: str) -> str:
    return ' '.join(words.split())


def test_the_html_is_beside_the_markdown_and_whole(page, tmp_path):
    assert page == tmp_path / 'report.html'
    assert (tmp_path / 'README.md').read_text().startswith('# Evaluation: \\<script>')
    report = self_contained(page)
    assert report.source.startswith('<!doctype html>\n<html lang="en">')
    assert {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'} in report.of(
        'meta'
    )
    assert f'Evaluation: {HOSTILE[0]}' in report.texts
    assert report.pictures() == ['Accuracy', 'History']
    assert report.links() == ['T_8/report.html']
    assert {path.name for path in tmp_path.iterdir()} == {
        'README.md',
        'report.html',
        'accuracy.png',
        'history.png',
        'T_8',
    }


def test_the_words_of_strangers_are_shown_as_they_are(page):
    report = Report(page)
    shown = [words.strip() for words in report.texts]
    for words in HOSTILE:
        # In a header, as code, in a column of cells, and in a list.
        assert shown.count(flat(words)) >= len(HOSTILE) + 3, words
    assert not {'b', 'strong', 'em', 's', 'del'} & {tag for tag, _ in report.elements}
    assert len(report.of('img')) == 2 and len(report.of('a')) == 1


@given(st.text(st.characters(codec='utf-8', exclude_categories=['Cc'])))
@settings(max_examples=300, deadline=None)
def test_any_words_are_shown_as_they_are(tmp_path_factory, words):
    words = flat(words)
    folder = tmp_path_factory.mktemp('any')
    cells = [[f'<{escaped(words)}>', code(words) if words else '']]
    report = Report(write_page(folder / 'README.md', ['# Any', '', *table(('a', 'b'), cells)]))
    assert ''.join(report.texts).count(f'<{words}>\n{words}\n') == 1


def test_markup_that_is_no_page_of_ours_is_shown_as_text(tmp_path):
    lines = ['# Title', '', '<b>b</b>', '']
    lines += ['[a](https://example.org) [b](//example.org/report.md) [c](/etc/README.md)', '']
    lines += ['![d](https://example.org/d.png) ![e](../e.png) ![f](%2e%2e/f.png) <a@example.org>']
    report = self_contained(write_page(tmp_path / 'README.md', lines))
    assert not report.of('a') and not report.of('img') and not report.of('b')
    assert '[a](https://example.org)' in ''.join(report.texts)


def test_a_table_can_be_sorted_by_any_column(page):
    report = Report(page)
    headers = report.of('th')
    assert len(headers) == len(ROWS[0]) + 1 + len(HOSTILE)
    assert all(each == {'scope': 'col', 'aria-sort': 'none'} for each in headers)
    buttons = report.of('button')
    assert len(buttons) == len(headers) and all(each['type'] == 'button' for each in buttons)
    # A header without a word has a name all the same, for those who cannot see the table.
    assert [each['aria-label'] for each in buttons if 'aria-label' in each] == ['names of the rows']


def test_a_picture_that_is_missing_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / 'README.md').write_text('before')
    with pytest.raises(FileError) as error:
        write_page(tmp_path / 'README.md', ['# Title', '', '![Accuracy](accuracy.png)'])
    assert str(error.value) == (
        f'{tmp_path}/accuracy.png: No such file or directory, accepted is a picture as PNG'
    )
    assert [path.name for path in tmp_path.iterdir()] == ['README.md']
    assert (tmp_path / 'README.md').read_text() == 'before'


def test_a_page_that_cannot_be_written_leaves_the_old_one(page, monkeypatch):
    before = {path: path.read_bytes() for path in page.parent.glob('*.*')}
    monkeypatch.setattr('pathlib.Path.replace', lambda *_: (_ for _ in ()).throw(OSError('full')))
    with pytest.raises(OSError, match='full'):
        write_page(page.with_name('README.md'), ['# Another'])
    assert {path: path.read_bytes() for path in page.parent.glob('*.*')} == before


# In a browser.


@pytest.fixture(scope='module')
def chromium(tmp_path_factory):
    path = browser.program()
    if path is None:
        pytest.skip(f'needs a browser on the PATH, one of {", ".join(browser.PROGRAMS)}')
    started = browser.Browser(path, tmp_path_factory.mktemp('profile'))
    yield started
    started.close()


def names(chromium) -> list[str]:
    """The first cells of the first table."""
    return chromium.evaluate(
        "[...document.querySelector('tbody').rows].map(row => row.cells[0].textContent)"
    )


def orders(chromium) -> list[str]:
    return chromium.evaluate(
        "[...document.querySelector('thead').rows[0].cells].map(cell => cell.ariaSort)"
    )


def test_a_browser_shows_all_and_asks_for_nothing(page, chromium):
    chromium.open(page)
    assert chromium.evaluate('document.title') == f'Evaluation: {HOSTILE[0]}'
    pictures = chromium.evaluate(
        '[...document.images].map(image => [image.complete, image.naturalWidth])'
    )
    assert len(pictures) == 2 and all(complete and width > 500 for complete, width in pictures)
    # The style is taken: wide tables scroll, the page does not.
    assert chromium.evaluate('document.documentElement.scrollWidth <= innerWidth')
    assert chromium.evaluate(
        "[...document.querySelectorAll('.scroll')].map(each => each.scrollWidth > each.clientWidth)"
    ) == [False, True]
    assert not [each for each in chromium.requests if not each.startswith(('file:', 'data:'))]
    assert chromium.requests.count(page.as_uri()) == 1
    assert chromium.errors == []


def test_what_does_not_belong_to_the_page_is_stopped_by_its_policy(page, chromium):
    chromium.open(page)
    chromium.evaluate(
        "document.body.insertAdjacentHTML('beforeend', "
        '\'<img src="http://127.0.0.1:9/a.png"><p onclick="document.title = 1">run</p>\')'
    )
    chromium.evaluate("document.querySelector('p[onclick]').click()")
    assert chromium.evaluate('document.title') != '1'
    assert 'Content Security Policy' in ''.join(chromium.errors)


@pytest.mark.parametrize('column', range(len(SORTED)))
def test_a_click_on_a_header_sorts_up_then_down_then_as_it_was(page, chromium, column):
    chromium.open(page)
    header = f'th:nth-child({column + 1}) button'
    unknown = [name for name, *cells in ROWS if (name, *cells)[column] in ('', '–')]
    up = SORTED[column]
    down = [name for name in reversed(up) if name not in unknown] + unknown
    for order, expected in (
        ('ascending', up),
        ('descending', down),
        ('none', [name for name, *_ in ROWS]),
    ):
        chromium.click(header)
        assert names(chromium) == expected
        assert orders(chromium) == [order if each == column else 'none' for each in range(5)]
    assert chromium.errors == []


def test_a_table_is_sorted_by_the_keyboard(page, chromium):
    chromium.open(page)
    for _ in range(3):  # the table, which can be scrolled, then its headers
        chromium.press('Tab', 9)
    assert chromium.evaluate('document.activeElement.textContent') == 'share'
    chromium.press('Enter', 13, '\r')
    assert names(chromium) == SORTED[1]
    chromium.press('Tab', 9)
    chromium.press('Enter', 13, '\r')
    assert names(chromium) == SORTED[2] and orders(chromium)[1:3] == ['none', 'ascending']


def test_a_long_table_is_sorted_at_once(tmp_path, chromium):
    values = random.Random(1).sample(range(10**6), 2000)
    rows = [[f'row {value}', f'{value / 1000:.3f} mJ'] for value in values]
    chromium.open(write_page(tmp_path / 'README.md', ['# Long', '', *table(('', 'energy'), rows)]))
    chromium.click('th:nth-child(2) button')
    assert names(chromium) == [f'row {value}' for value in sorted(values)]
    chromium.click('th:nth-child(1) button')
    assert names(chromium) == [f'row {value}' for value in sorted(values)]


def test_a_link_leads_to_the_other_report(page, chromium):
    chromium.open(page)
    address = chromium.evaluate("document.querySelector('a').href")
    assert address == (page.parent / 'T_8' / 'report.html').as_uri()
    chromium.open(page.parent / 'T_8' / 'report.html')
    assert chromium.evaluate("document.querySelector('p').textContent") == 'The other page.'


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_stands_out_in_a_light_and_a_dark_scheme(page, chromium, scheme):
    chromium.open(page)
    chromium.call(
        'Emulation.setEmulatedMedia',
        features=[{'name': 'prefers-color-scheme', 'value': scheme}],
    )
    ink, paper = (
        sum(
            json.loads(
                '[' + chromium.evaluate(f'getComputedStyle(document.body).{name}')[4:-1] + ']'
            )
        )
        for name in ('color', 'backgroundColor')
    )
    assert (ink < 150 and paper > 700) if scheme == 'light' else (ink > 600 and paper < 100)
