"""Random numbers: SplitMix64 (Steele, Lea and Flood 2014), its state one uint64."""

from __future__ import annotations

import numpy as np

from .compilation import kernel

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
DROPPED = np.uint64(11)  # bits that do not fit a float64
UNIT = 2.0**-53


@kernel
def mixed(z):
    """A uint64 in which every bit depends on every bit of z."""
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return z ^ (z >> SHIFT_3)


@kernel
def uniform(generator):
    """The next random number in [0, 1)."""
    generator[0] += GOLDEN_GAMMA
    return np.float64(mixed(generator[0]) >> DROPPED) * UNIT


@kernel
def seed_from(generator, seed, pixels):
    """Seed a generator by a sample (float32): the same sample always draws the same numbers."""
    digest = seed
    for bits in pixels.view(np.uint32):
        digest = mixed(digest + GOLDEN_GAMMA + np.uint64(bits))
    generator[0] = digest
