"""The documentation site: `make docs` builds it into docs/_build."""

import sys
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / '_ext'), str(HERE.parent)]

project = 'topspark_ros'
author = 'topspark_ros maintainers'
release = ElementTree.parse(HERE.parent / 'package.xml').findtext('version')
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx-mathjax-offline',  # equations need no network
    'topspark_reference',
]
exclude_patterns = ['_build']
smartquotes_action = 'D'
html_theme = 'furo'
html_title = f'topspark_ros {release}'

myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 3

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented_params'
autodoc_default_options = {'members': True}
napoleon_google_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
nitpick_ignore_regex = [
    # Types of other packages, whose documentation is not read here.
    ('py:.*', r'(?!topspark_ros\.).*'),
    # Types with a parameter keep the name of the module that they are written in.
    ('py:.*', r'topspark_ros\.engine\.network\..*|.*\.experiments\.Config'),
]
