"""Kernels as Python can call them."""

import numba


def compiled(kernel):
    """A kernel compiled for itself."""

    @numba.njit
    def call(*arguments):
        return kernel(*arguments)

    return call
