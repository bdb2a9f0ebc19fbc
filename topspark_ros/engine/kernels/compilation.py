"""How kernels are compiled, and where their machine code is kept between two starts.

Numba renews a cached kernel when the file that holds it changes, not when a helper in another
file does. So the cache lies in a directory named by the contents of all files in the kernel's
folder and of this one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba
from numba.extending import register_jitable

ENTRY_POINTS = []  # dispatchers of the kernels that Python calls


def cache_directory(folder: Path) -> Path:
    """Where the machine code of the kernels in `folder` is kept: there, or in the user's cache."""
    digest = hashlib.sha256()
    for path in sorted({*folder.glob('*.py'), Path(__file__)}):
        if path.is_file():  # not a link of an installation to what has gone
            digest.update(path.read_bytes())
    base = folder / '__pycache__'
    if numba.config.CACHE_DIR:
        base = Path(numba.config.CACHE_DIR)
    elif not os.access(base if base.exists() else folder, os.W_OK):
        base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'topspark_ros'
    return base / digest.hexdigest()[:16]


def kernel(function):
    """Compile `function` into the kernels that call it.

    Without the reference counts that Numba keeps of every array of every tuple at every call, a
    quarter of the time: so such a kernel makes no arrays but views, and returns none. And always
    inlined, for a call hands over each tuple field by field: a tenth. Python gets the function
    as it is.
    """
    return register_jitable(error_model='numpy', _nrt=False, forceinline=True)(function)


def allocating(function):
    """Compile `function`, which makes arrays, into the kernels that call it."""
    return numba.njit(error_model='numpy', _nrt=True)(function)


def routine(function):
    """Compile `function`, which makes no arrays, once for the kernels that call it, not into each.

    For what takes longer than to hand over its arguments, and is called from several places: there
    its code would take long to compile again and again.
    """
    return numba.njit(error_model='numpy', _nrt=False)(function)


def entry_point(function):
    """Compile `function`, cached on disk where that is possible, to run without the GIL."""
    dispatcher = _cached(numba.njit, error_model='numpy', nogil=True)(function)
    ENTRY_POINTS.append(dispatcher)
    return dispatcher


def c_function(*signature):
    """Compile a function that C calls, cached like an entry point; the GIL is not taken."""
    return _cached(numba.cfunc, *signature, error_model='numpy')


def _cached(compiler, *arguments, **options):
    def compiled(function):
        directory = numba.config.CACHE_DIR
        try:
            numba.config.CACHE_DIR = str(
                cache_directory(Path(function.__code__.co_filename).parent)
            )
            return compiler(*arguments, cache=True, **options)(function)
        except (RuntimeError, OSError):  # no directory that could be written
            return compiler(*arguments, **options)(function)
        finally:
            numba.config.CACHE_DIR = directory

    return compiled


def compilations() -> int:
    """Kernels compiled in this process so far; those loaded from the cache do not count."""
    return sum(
        len(dispatcher.signatures) - sum(dispatcher.stats.cache_hits.values())
        for dispatcher in ENTRY_POINTS
    )
