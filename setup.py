"""Installs the ROS-free part: every room but the nodes, and the `topspark` command.

On a robot the whole package, messages and nodes included, is built by colcon
(CMakeLists.txt, package.xml).
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

manifest = ElementTree.parse(Path(__file__).parent / 'package.xml')

setup(
    name='topspark_ros',
    version=manifest.findtext('version'),
    description=manifest.findtext('description'),
    license=manifest.findtext('license'),
    packages=[
        *find_packages(include=['topspark_ros*'], exclude=['topspark_ros.nodes*']),
        'topspark_ros.replay.msg',
        'topspark_ros.methodology.energy_tables',
    ],
    # What the messages are made of, for the reading and writing of bags; and shipped tables.
    package_dir={
        'topspark_ros.replay.msg': 'msg',
        'topspark_ros.methodology.energy_tables': 'config/energy',
    },
    package_data={
        'topspark_ros.engine': ['filters.npz'],
        'topspark_ros.replay.msg': ['*.msg'],
        'topspark_ros.methodology.energy_tables': ['*.yaml'],
    },
    python_requires='>=3.10',
    install_requires=[
        'joblib',
        'llvmlite',
        'lz4',
        'markdown-it-py',
        'matplotlib',
        'numba',
        'numpy>=1.26',
        'opencv-python-headless',
        'PyYAML',
        'rich',
        'rosbags>=0.11,<0.12',
        'scikit-learn',
        'scipy',
    ],
    # No rosdep key names them, so package.xml cannot.
    extras_require={'cluster': ['dask', 'distributed'], 'nir': ['nir>=1.0.8']},
    entry_points={'console_scripts': ['topspark = topspark_ros.cli.main:main']},
)
