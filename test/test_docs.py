"""The site builds, its links lead somewhere, and what README and docs tell people to type works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import yaml
from onnx_models import filters, write_encoder
from test_architecture import ARROWS, without_ros

from topspark_ros.cli.main import VERBS, command_line, main
from topspark_ros.streams.datasets import load_dataset

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
EXTENSION = DOCS / '_ext'
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *(path for path in sorted(DOCS.rglob('*.md')) if '_build' not in path.parts),
]
REFERENCE = DOCS / 'reference'
LAUNCH_FILES = [path.name.removesuffix('.launch.py') for path in (ROOT / 'launch').glob('*.py')]
INCLUDES_TOPSPARK = ('replay', 'gazebo')

FENCE = re.compile(r'^```(\S*)[^\n]*\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r'(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)')
LINK = re.compile(r'\]\((?!https?:|mailto:|#)([^)#\s]+)')

# What is neither ours nor of ROS.
OTHERS = {'cd', 'colcon', 'export', 'git', 'pip', 'pre-commit', 'rosdep', 'sed', 'source'}
OTHER_PACKAGES = {'nav2_lifecycle_manager'}
# They need ROS, or minutes.
NOT_RUN = {'demo', 'watch', 'teach', 'answer', 'forget', 'rename', 'classes', 'analyse'}
SHORTER = {
    'evaluate': ['--jobs', '1'],
    'make-bag': ['--frames', '50', '--rate', '1'],
    'make-world': ['--panels', '8'],
    'profile': '--samples 60 --seeds 1 --timesteps 1,4'.split(),
}


def needs_sphinx():
    if find_spec('sphinx') is None:
        pytest.skip('needs Sphinx, which requirements/docs.txt names')


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Block(NamedTuple):
    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f'{name(self.page)}, line {self.line}'


def blocks(language: str) -> list[Block]:
    return [
        Block(page, text.count('\n', 0, match.start()) + 2, match[2])
        for page in PAGES
        for text in [page.read_text()]
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def inline_code(page: Path) -> list[str]:
    text = FENCE.sub('', page.read_text())
    return [' '.join(match.split()) for match in INLINE.findall(text)]


class Command(NamedTuple):
    block: Block
    words: list[str]


def commands() -> Iterator[Command]:
    for block in blocks('bash'):
        text = re.sub(r'\$\([^)]*\)', 'INSERTED', block.text.replace('\\\n', ''))
        for part in re.split('\n|&&', text):
            words = shlex.split(part, comments=True)
            while words and re.match(r'\w+=', words[0]):
                words = words[1:]
            if words:
                yield Command(block, words)


COMMANDS = list(commands())


def of(program: str, *first: str) -> list[Command]:
    wanted = [program, *first]
    return [each for each in COMMANDS if each.words[: len(wanted)] == wanted]


def named(commands: list[Command]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        'command', commands, ids=lambda command: ' '.join(command.words)[:60]
    )


@lru_cache
def reference():
    """The extension that makes the reference pages."""
    needs_sphinx()
    sys.path.insert(0, str(EXTENSION))
    try:
        import topspark_reference
    finally:
        sys.path.remove(str(EXTENSION))
    return topspark_reference


def parameters(node: str) -> set[str]:
    return {field.name for field in reference().node_parameters(node)} | {
        'autostart',
        'bond_heartbeat_period',
    }


def launch_arguments(file: str) -> set[str]:
    names = {each.name for each in reference().launch_arguments(file)}
    return names | launch_arguments('topspark') if file in INCLUDES_TOPSPARK else names


@lru_cache
def interfaces() -> dict[str, set[str]]:
    """Node -> topics and services that it uses, by the access control policy."""
    policy = ElementTree.parse(ROOT / 'config' / 'security' / 'policy.xml')
    return {
        profile.attrib['node']: {each.text for each in profile.iter() if each.tag in GROUPS}
        for profile in policy.iter('profile')
    }


GROUPS = ('topic', 'service')


def messages() -> set[str]:
    return {path.stem for path in (ROOT / 'msg').glob('*.msg')}


def services() -> set[str]:
    return {path.stem for path in (ROOT / 'srv').glob('*.srv')}


# The site


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    """Built as `make docs` does, but where ROS cannot be found."""
    needs_sphinx()
    folder = tmp_path_factory.mktemp('site')
    arguments = ['-W', '--keep-going', '-n', '-q', str(DOCS), str(folder)]
    result = without_ros(f'from sphinx.cmd.build import main\nsys.exit(main({arguments!r}))')
    assert result.returncode == 0, result.stderr
    return folder


def test_every_link_inside_the_site_leads_somewhere(site):
    from bs4 import BeautifulSoup

    pages = {
        path: BeautifulSoup(path.read_text(), 'html.parser')
        for path in sorted(site.rglob('*.html'))
    }
    ids = {path: {each['id'] for each in page.find_all(id=True)} for path, page in pages.items()}
    lost = []
    for path, page in pages.items():
        links = [each['href'] for each in page.find_all('a', href=True)]
        links += [each['src'] for each in page.find_all('img', src=True)]
        for link in links:
            if re.match(r'\w+:', link):
                continue
            file, _, anchor = link.partition('#')
            target = (path.parent / file).resolve() if file else path
            if not target.is_file() or (anchor and anchor not in ids.get(target, {anchor})):
                lost.append(f'{path.relative_to(site)}: {link}')
    assert len(pages) > 20 and not lost


def test_the_site_loads_nothing_from_the_network(site):
    from bs4 import BeautifulSoup

    loaded = []
    for path in sorted(site.rglob('*.html')):
        page = BeautifulSoup(path.read_text(), 'html.parser')
        loaded += [each['src'] for each in page.find_all(['script', 'img'], src=True)]
        loaded += [each['href'] for each in page.find_all('link', rel='stylesheet')]
    assert any('mathjax' in each for each in loaded)
    assert not [each for each in loaded if re.match(r'(\w+:)?//', each)]


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_every_link_to_a_file_leads_somewhere(page):
    text = FENCE.sub('', page.read_text())
    assert not [link for link in LINK.findall(text) if not (page.parent / link).exists()]


@pytest.mark.parametrize(
    'page, directive, names',
    [
        ('command_line', 'verb', set(VERBS)),
        ('launch_files', 'launch-arguments', set(LAUNCH_FILES)),
        ('messages', 'message', messages()),
        ('messages', 'service', services()),
        ('parameters', 'parameters', set(interfaces())),
    ],
)
def test_the_reference_has_all_of_them(page, directive, names):
    text = (REFERENCE / f'{page}.md').read_text()
    assert set(re.findall(rf'^```{{{directive}}} (\S+)$', text, re.MULTILINE)) == names


def test_every_parameter_and_field_is_on_the_site(site):
    def words(page: str) -> set[str]:
        return set(re.findall(r'[\w/]+', (site / 'reference' / f'{page}.html').read_text()))

    for node in interfaces():
        assert parameters(node) <= words('parameters')
    for message in messages():
        assert {line.name for line in reference().message_lines(message)[1]} <= words('messages')
    for service in services():
        _, asked, answered = reference().service_lines(service)
        assert {line.name for line in (*asked, *answered)} <= words('messages')


def test_the_page_of_the_architecture_is_right():
    rows = re.findall(r'^\| `(\w+)` \|.*\|(.*)\|$', (DOCS / 'architecture.md').read_text(), re.M)
    assert {package: set(re.findall(r'`(\w+)`', may)) for package, may in rows} == ARROWS


def test_the_readme_is_short():
    assert 6000 <= len((ROOT / 'README.md').read_bytes()) <= 8192


# What people type


def run_blocks(given: list[Block], folder: Path) -> str:
    """A program that runs each block as a file of its own, in a folder with our config/."""
    (folder / 'config').symlink_to(ROOT / 'config')
    programs = json.dumps([(str(block), block.text) for block in given])
    return (
        f'import json, os\nos.chdir({str(folder)!r})\n'
        f'for name, text in json.loads({programs!r}):\n'
        "    exec(compile(text, f'<{name}>', 'exec'), {'__name__': '__main__'})\n"
    )


def of_ros(block: Block) -> bool:
    return 'import rclpy' in block.text


def test_python_runs_without_ros(tmp_path):
    given = [block for block in blocks('python') if not of_ros(block)]
    result = without_ros(run_blocks(given, tmp_path))
    assert len(given) >= 6 and result.returncode == 0, result.stderr


def test_python_of_ros_runs(tmp_path):
    pytest.importorskip('rclpy')
    pytest.importorskip('topspark_ros.msg')
    program = run_blocks([block for block in blocks('python') if of_ros(block)], tmp_path)
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_command_is_known():
    known = OTHERS | {'make', 'pytest', 'python', 'ros2', 'topspark'}
    assert not [each for each in COMMANDS if each.words[0] not in known]


@named(of('topspark'))
def test_the_command_takes_it(command):
    try:
        command_line().parse_args(command.words[1:])
    except SystemExit as end:
        assert end.code == 0 and '--help' in command.words


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home with pictures of objects, and a folder in it to work in: with our config/, an encoder
    and an energy table."""
    import cv2

    digits = load_dataset('digits')
    for label in range(3):
        folder = tmp_path / 'my_objects' / digits.class_names[label]
        folder.mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.labels == label][:30]):
            enlarged = cv2.resize(image, (64, 64))
            cv2.imwrite(str(folder / f'{number}.png'), enlarged)
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'config').symlink_to(ROOT / 'config')
    write_encoder(work / 'lite0.onnx', filters(), side=32)
    loihi = (ROOT / 'config' / 'energy' / 'loihi.yaml').read_text()
    (work / 'my_chip.yaml').write_text(loihi.replace('name: loihi', 'name: my_chip'))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(work)
    return tmp_path


@pytest.mark.parametrize(
    'page', sorted({command.block.page for command in of('topspark')}), ids=name
)
def test_the_command_runs(page, home, capsys):
    """One command after the other, each on what those before it on the page have left."""
    for command in of('topspark'):
        verb = command.words[1]
        if command.block.page != page or verb in {'--help', *NOT_RUN} or 'mnist' in command.words:
            continue
        words = [os.path.expanduser(word) for word in command.words[1:]]
        if '--compare' not in words:
            words += SHORTER.get(verb, [])
        assert main(words) == 0, (command, capsys.readouterr().err)


@named(of('make'))
def test_the_target_is_made(command):
    assert set(command.words[1:]) <= targets()


def targets() -> set[str]:
    makefile = (ROOT / 'Makefile').read_text()
    return set(re.search(r'^\.PHONY: (.*)$', makefile, re.MULTILINE)[1].split())


def module_is_there(module: str) -> bool:
    path = ROOT / module.replace('.', '/')
    return path.with_suffix('.py').exists() or (path / '__main__.py').exists()


@named(of('python', '-m'))
def test_the_module_is_there(command):
    assert module_is_there(command.words[2])


@named(of('pytest'))
def test_the_test_is_there(command):
    assert (ROOT / command.words[1]).exists()


@named(of('ros2', 'launch'))
def test_the_launch_file_takes_it(command):
    package, file, *rest = command.words[2:]
    assert package == 'topspark_ros'
    given = {word.partition(':=')[0] for word in rest if word != '--show-args'}
    assert given <= launch_arguments(file.removesuffix('.launch.py'))


@named([each for each in of('ros2', 'run') if each.words[2] not in OTHER_PACKAGES])
def test_the_executable_takes_it(command):
    package, node, *rest = command.words[2:]
    assert package == 'topspark_ros'
    for option, word in zip(rest, rest[1:]):
        given = word.partition(':=')[0]
        if option == '-p':
            assert given in parameters(node)
        if option == '-r':
            assert given in interfaces()[node]
    assert node in interfaces()


def topics() -> set[str]:
    names = {'/diagnostics'}
    for node, used in interfaces().items():
        names |= {f'/{topic.replace("~", node)}' for topic in used}
    return names


@named(of('ros2', 'topic'))
def test_the_topic_is_there(command):
    words = [word for word in command.words[3:] if not word.startswith('--')]
    words = [word for word in words if word != 'transient_local']
    assert words[0] in topics()
    if command.words[2] == 'pub':
        package, _, message = words[1].split('/')
        assert package == 'topspark_ros' and message in messages()
        fields = {line.name for line in reference().message_lines(message)[1]}
        assert set(yaml.safe_load(words[2])) <= fields


@named(of('ros2', 'service'))
def test_the_service_is_there(command):
    assert command.words[3] in topics()
    package, _, service = command.words[4].split('/')
    if package == 'topspark_ros':
        asked = {line.name for line in reference().service_lines(service)[1]}
        assert set(yaml.safe_load(command.words[5])) <= asked
    else:
        assert package == 'std_srvs'


@named(of('ros2', 'param'))
def test_the_parameter_is_there(command):
    assert command.words[4] in parameters(command.words[3].removeprefix('/'))


@named(of('ros2', 'lifecycle'))
def test_the_node_is_there(command):
    assert command.words[3].removeprefix('/') in interfaces()


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_names_in_the_text_are_there(page):
    arguments = {each for file in LAUNCH_FILES for each in launch_arguments(file)}
    wrong = []
    for code in inline_code(page):
        words = code.split()
        if words[0] == 'make' and len(words) == 2 and words[1] not in targets():
            wrong.append(code)
        if words[0] == 'topspark' and len(words) > 1 and words[1] not in (*VERBS, '--help'):
            wrong.append(code)
        if words[:2] == ['python', '-m'] and words[2] != 'pytest' and not module_is_there(words[2]):
            wrong.append(code)
        if words[0] == 'pytest' and len(words) > 1 and not (ROOT / words[1]).exists():
            wrong.append(code)
        wrong += [each for each in re.findall(r'(\w+):=', code) if each not in arguments]
    assert not wrong


@pytest.mark.parametrize('block', blocks('yaml'), ids=str)
def test_files_of_parameters_are_right(block):
    for pattern, entry in yaml.safe_load(block.text).items():
        assert set(entry['ros__parameters']) <= parameters(pattern.rpartition('/')[2])
