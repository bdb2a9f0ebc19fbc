"""Vector instructions do what the loops would that they stand for."""

import numpy as np
import pytest

from topspark_ros.engine.kernels import vectors

from .compiled import compiled

sum_rows = compiled(vectors.sum_rows)
sum_of_squares = compiled(vectors.sum_of_squares)
accumulate = compiled(vectors.accumulate)
lowest_bit = compiled(vectors.lowest_bit)
set_bits = compiled(vectors.set_bits)


@pytest.mark.parametrize('dtype', [np.float32, np.int8])
@pytest.mark.parametrize('neurons', [1, 63, 64, 65, 100, 128, 400])
def test_rows_are_summed(dtype, neurons):
    rng = np.random.default_rng(neurons)
    weights = rng.integers(0, 128, (50, neurons)).astype(dtype)
    source = rng.integers(0, 50, 300).astype(np.int32)
    sums = np.full(neurons, np.nan, np.float32)
    for begin, end in ((0, 0), (7, 8), (3, 6), (0, 4), (10, 19), (44, 44 + vectors.MAX_ROWS)):
        sum_rows(weights, source, begin, end, sums)
        expected = weights[source[begin:end]].astype(int).sum(axis=0)
        np.testing.assert_array_equal(sums, expected)


def test_most_rows_of_the_largest_weights_fit():
    weights = np.full((1, 80), 127, np.int8)
    sums = np.empty(80, np.float32)
    sum_rows(weights, np.zeros(vectors.MAX_ROWS, np.int32), 0, vectors.MAX_ROWS, sums)
    assert (sums == 127 * vectors.MAX_ROWS).all()


def test_nothing_beside_the_sums_is_written():
    memory = np.full(70, -1, np.float32)
    sum_rows(np.ones((2, 66), np.float32), np.zeros(1, np.int32), 0, 1, memory[2:68])
    assert (memory[[0, 1, 68, 69]] == -1).all() and (memory[2:68] == 1).all()


def test_squares_are_summed_in_double_precision():
    values = np.random.default_rng(1).random(80).astype(np.float32) * np.float32(1e30)
    for number in (0, 16, 80):
        expected = (values[:number].astype(float) ** 2).sum()
        assert sum_of_squares(values, number) == pytest.approx(expected, rel=1e-14)


def test_phases_gain_and_wrap():
    rng = np.random.default_rng(2)
    phase = rng.integers(0, vectors.PHASE_ONE, 192).astype(np.int32)
    increment = rng.integers(0, vectors.PHASE_ONE, 192, endpoint=True).astype(np.int32)
    increment[[64, 127]] = vectors.PHASE_ONE
    before = phase.copy()
    word = int(accumulate(phase, increment, 64))
    total = before[64:128].astype(int) + increment[64:128]
    assert [word >> bit & 1 for bit in range(64)] == (total >= vectors.PHASE_ONE).tolist()
    np.testing.assert_array_equal(phase[64:128], total % vectors.PHASE_ONE)
    np.testing.assert_array_equal(phase[:64], before[:64])
    np.testing.assert_array_equal(phase[128:], before[128:])


@pytest.mark.parametrize('place', [0, 1, 31, 32, 62, 63])
def test_lowest_bit(place):
    for above in (0, 1 << 63):
        assert lowest_bit(np.uint64(1 << place | above)) == place


@pytest.mark.parametrize('word', [0, 1, 1 << 63, 2**64 - 1, 0b1011])
def test_set_bits(word):
    assert set_bits(np.uint64(word)) == word.bit_count()


def test_a_word_without_a_bit():
    assert lowest_bit(np.uint64(0)) == 64
