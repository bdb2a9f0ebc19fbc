"""Vector instructions that the compiler does not find by itself in a loop.

Written in LLVM's own vectors, which it maps to those of any processor. So results do not depend
on the processor: each lane adds in the order that is written here.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_item_pointer
from numba.extending import intrinsic

from .compilation import kernel, routine

LANES = 64
SQUARES = 16  # lanes
PRODUCTS = 32  # lanes
MAX_ROWS = 256  # of int8 whose sum surely fits 16 bits
PAIRED = 8  # lanes
ROWS = 2  # that are worked on at once
PHASE_BITS = 30
PHASE_ONE = 2**PHASE_BITS

INDEX = ir.IntType(64)


def _lanes(context, builder, array_type, array, indices, vector):
    """A pointer to the elements of an array from some index on, as a vector."""
    view = context.make_array(array_type)(context, builder, array)
    pointer = get_item_pointer(context, builder, array_type, view, indices)
    return builder.bitcast(pointer, vector.as_pointer())


def _load(builder, pointer):
    vector = builder.load(pointer)
    vector.align = 1
    return vector


def _store(builder, vector, pointer):
    builder.store(vector, pointer).align = 1


def _loop(builder, first, stop, step, total, add):
    """total <- add(total, index) for every step-th index from first to before stop, which is a
    whole number of steps away."""
    entry = builder.block
    body, after = builder.append_basic_block('body'), builder.append_basic_block('after')
    builder.cbranch(builder.icmp_signed('<', first, stop), body, after)
    builder.position_at_end(body)
    index, so_far = builder.phi(INDEX), builder.phi(total.type)
    more = add(so_far, index)
    following = builder.add(index, INDEX(step))
    for phi, before, now in ((index, first, following), (so_far, total, more)):
        phi.add_incoming(before, entry)
        phi.add_incoming(now, builder.block)
    builder.cbranch(builder.icmp_signed('<', following, stop), body, after)
    builder.position_at_end(after)
    result = builder.phi(total.type)
    result.add_incoming(total, entry)
    result.add_incoming(more, body)
    return result


def added_up(builder, vector):
    """The sum of all lanes of a vector, a power of two."""
    parts = [builder.extract_element(vector, ir.IntType(32)(k)) for k in range(vector.type.count)]
    while len(parts) > 1:
        parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2])]
    return parts[0]


@intrinsic
def _sum_lanes(typing_context, weights, column, source, begin, end, sums):
    """sums[column : column + LANES] = the same columns of rows source[begin:end] added up."""
    signature = types.void(weights, types.intp, source, types.intp, types.intp, sums)
    whole = weights.dtype is types.int8
    real = ir.VectorType(ir.FloatType(), LANES)
    stored = ir.VectorType(ir.IntType(8), LANES) if whole else real
    summed = ir.VectorType(ir.IntType(16), LANES) if whole else real

    def generate(context, builder, signature, arguments):
        weights, column, source, begin, end, sums = arguments
        plus = builder.add if whole else builder.fadd
        sources = context.make_array(signature.args[2])(context, builder, source).data

        def row(spike):
            place = builder.zext(builder.load(builder.gep(sources, [spike])), INDEX)
            return _load(
                builder,
                _lanes(context, builder, signature.args[0], weights, [place, column], stored),
            )

        def widened(vector):
            return builder.zext(vector, summed) if whole else vector

        def add_four(total, spike):
            a, b, c, d = (row(builder.add(spike, INDEX(k))) for k in range(4))
            # Two of 0 to 127 fit 8 bits.
            return plus(total, plus(widened(plus(a, b)), widened(plus(c, d))))

        def add_one(total, spike):
            return plus(total, widened(row(spike)))

        rest = builder.and_(builder.sub(end, begin), INDEX(3))
        middle = builder.sub(end, rest)
        total = ir.Constant(summed, [0 if whole else 0.0] * LANES)
        total = _loop(builder, begin, middle, 4, total, add_four)
        total = _loop(builder, middle, end, 1, total, add_one)
        if whole:
            total = builder.sitofp(total, real)
        _store(builder, total, _lanes(context, builder, signature.args[5], sums, [column], real))
        return context.get_dummy_value()

    return signature, generate


@kernel
def sum_rows(weights, source, begin, end, sums):
    """sums = the rows source[begin:end] of the weights, added up.

    weights: (inputs, neurons) float32, or int8 of 0 to 127 and at most MAX_ROWS spikes then.
    source: int32. sums: (neurons,) float32. Each column's sum stays in a register throughout.
    """
    neurons = sums.size
    if neurons < LANES:
        sums[:] = 0
        for k in range(begin, end):
            i = np.uint64(source[k])
            for j in range(neurons):
                sums[j] += np.float32(weights[i, j])
        return
    for column in range(0, neurons, LANES):  # at the end some once more
        _sum_lanes(weights, min(column, neurons - LANES), source, begin, end, sums)


@intrinsic
def sum_of_squares(typing_context, values, number):
    """Of the first values, float64; values: float32, number: a multiple of SQUARES."""
    real, wide = (ir.VectorType(kind, SQUARES) for kind in (ir.FloatType(), ir.DoubleType()))

    def generate(context, builder, signature, arguments):
        values, number = arguments

        def add_squares(total, first):
            some = builder.fpext(
                _load(builder, _lanes(context, builder, signature.args[0], values, [first], real)),
                wide,
            )
            return builder.fadd(total, builder.fmul(some, some))

        sums = ir.Constant(wide, [0.0] * SQUARES)
        sums = _loop(builder, INDEX(0), number, SQUARES, sums, add_squares)
        return added_up(builder, sums)

    return types.float64(values, types.intp), generate


def _multiply_add(builder, a, b, c):
    """a * b + c of vectors of floats or doubles, rounded once: half the instructions."""
    bits = 64 if a.type.element == ir.DoubleType() else 32
    name = f'llvm.fma.v{a.type.count}f{bits}'
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, (a, b, c))


def _spread(builder, value, vector):
    """A vector with the value in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, nothing, lanes)


def _spread_each(context, builder, array_type, factors, vector):
    """A vector for each of ROWS factors."""
    view = context.make_array(array_type)(context, builder, factors)
    return [
        _spread(
            builder,
            builder.load(get_item_pointer(context, builder, array_type, view, [INDEX(k)])),
            vector,
        )
        for k in range(ROWS)
    ]


@intrinsic
def dot_rows(typing_context, rows, a, products):
    """products = the dot product of each of ROWS rows with a vector; rows: (ROWS, n) float64, n: a
    multiple of SQUARES."""
    signature = types.void(rows, a, products)
    real = ir.VectorType(ir.DoubleType(), SQUARES)

    def generate(context, builder, signature, arguments):
        rows, a, products = arguments
        size = context.make_array(signature.args[1])(context, builder, a).nitems

        def add(totals, first):
            some = _load(builder, _lanes(context, builder, signature.args[1], a, [first], real))
            for k in range(ROWS):
                row = _load(
                    builder,
                    _lanes(context, builder, signature.args[0], rows, [INDEX(k), first], real),
                )
                total = _multiply_add(builder, row, some, builder.extract_value(totals, k))
                totals = builder.insert_value(totals, total, k)
            return totals

        totals = ir.Constant(ir.ArrayType(real, ROWS), [ir.Constant(real, [0.0] * SQUARES)] * ROWS)
        totals = _loop(builder, INDEX(0), size, SQUARES, totals, add)
        for k in range(ROWS):
            pointer = _lanes(
                context, builder, signature.args[2], products, [INDEX(k)], ir.DoubleType()
            )
            builder.store(added_up(builder, builder.extract_value(totals, k)), pointer)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def subtract_rows(typing_context, values, rows, factors):
    """values -= factors[k] * row k, for ROWS rows, (ROWS, n) float64; n: a multiple of SQUARES."""
    real = ir.VectorType(ir.DoubleType(), SQUARES)

    def generate(context, builder, signature, arguments):
        values, rows, factors = arguments
        size = context.make_array(signature.args[0])(context, builder, values).nitems
        spread = _spread_each(context, builder, signature.args[2], factors, real)

        def subtract(count, first):
            pointer = _lanes(context, builder, signature.args[0], values, [first], real)
            total = _load(builder, pointer)
            for k in range(ROWS):
                row = _load(
                    builder,
                    _lanes(context, builder, signature.args[1], rows, [INDEX(k), first], real),
                )
                total = _multiply_add(builder, row, builder.fneg(spread[k]), total)
            _store(builder, total, pointer)
            return count

        _loop(builder, INDEX(0), size, SQUARES, INDEX(0), subtract)
        return context.get_dummy_value()

    return types.void(values, rows, factors), generate


@intrinsic
def weigh_pair(typing_context, matrix, row, begin, middle, vectors, products):
    """Two rows of a symmetric matrix in the product with ROWS vectors; each is read once.

    The columns before `begin` were mirrored by earlier rows, those from `middle` on are now. For
    each vector v and its product p, and both rows r: p[r] += sum of matrix[r, d] * v[d] for d from
    begin on, and p[d] += matrix[r, d] * v[r] for d from middle on. matrix: (n, n) float64. vectors,
    products: (ROWS, n) float64. begin, middle: as n, multiples of PAIRED.
    """
    signature = types.void(matrix, types.intp, types.intp, types.intp, vectors, products)
    real = ir.VectorType(ir.DoubleType(), PAIRED)

    def generate(context, builder, signature, arguments):
        matrix, first_row, begin, middle, vectors, products = arguments
        kinds = dict(zip(arguments, signature.args))
        view = context.make_array(kinds[matrix])(context, builder, matrix)
        size = builder.extract_value(view.shape, 0)
        rows = [first_row, builder.add(first_row, INDEX(1))]

        def at(array, k, place, kind=real):
            return _lanes(context, builder, kinds[array], array, [k, place], kind)

        both = [(INDEX(k), r) for k in range(ROWS) for r in range(2)]
        spread = [
            _spread(builder, builder.load(at(vectors, k, rows[r], ir.DoubleType())), real)
            for k, r in both
        ]

        def dot(totals, first):
            parts = [_load(builder, at(matrix, row, first)) for row in rows]
            some = [_load(builder, at(vectors, INDEX(k), first)) for k in range(ROWS)]
            for place in range(2 * ROWS):
                total = builder.extract_value(totals, place)
                total = _multiply_add(builder, parts[place % 2], some[place // 2], total)
                totals = builder.insert_value(totals, total, place)
            return totals

        def dot_and_mirror(totals, first):
            parts = [_load(builder, at(matrix, row, first)) for row in rows]
            for k in range(ROWS):
                pointer = at(products, INDEX(k), first)
                mirrored = _load(builder, pointer)
                for r in range(2):
                    mirrored = _multiply_add(builder, parts[r], spread[2 * k + r], mirrored)
                _store(builder, mirrored, pointer)
            return dot(totals, first)

        nothing = ir.Constant(real, [0.0] * PAIRED)
        totals = ir.Constant(ir.ArrayType(real, 2 * ROWS), [nothing] * (2 * ROWS))
        totals = _loop(builder, begin, middle, PAIRED, totals, dot)
        totals = _loop(builder, middle, size, PAIRED, totals, dot_and_mirror)
        for place, (k, r) in enumerate(both):
            total = added_up(builder, builder.extract_value(totals, place))
            pointer = at(products, k, rows[r], ir.DoubleType())
            builder.store(builder.fadd(builder.load(pointer), total), pointer)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def subtract_outer_pair(typing_context, matrix, row, begin, vectors, gains):
    """Subtract the outer products of ROWS vectors with themselves, times gains, from two rows of a
    matrix, from the column `begin` on.

    For each vector v, its gain g and both rows r: matrix[r, d] -= g * v[r] * v[d]. matrix: (n, n)
    float64. vectors: (ROWS, n) float64. gains: (ROWS,) float64. begin: as n, a multiple of PAIRED.
    """
    signature = types.void(matrix, types.intp, types.intp, vectors, gains)
    real = ir.VectorType(ir.DoubleType(), PAIRED)

    def generate(context, builder, signature, arguments):
        matrix, first_row, begin, vectors, gains = arguments
        matrix_type, _, _, vectors_type, gains_type = signature.args
        view = context.make_array(matrix_type)(context, builder, matrix)
        size = builder.extract_value(view.shape, 0)
        rows = [first_row, builder.add(first_row, INDEX(1))]

        def one(array_type, array, *indices):
            return builder.load(
                _lanes(context, builder, array_type, array, indices, ir.DoubleType())
            )

        factors = [
            [
                _spread(
                    builder,
                    builder.fneg(
                        builder.fmul(
                            one(gains_type, gains, INDEX(k)),
                            one(vectors_type, vectors, INDEX(k), row),
                        )
                    ),
                    real,
                )
                for k in range(ROWS)
            ]
            for row in rows
        ]

        def subtract(count, first):
            some = [
                _load(
                    builder,
                    _lanes(context, builder, vectors_type, vectors, [INDEX(k), first], real),
                )
                for k in range(ROWS)
            ]
            for row, of_row in zip(rows, factors):
                pointer = _lanes(context, builder, matrix_type, matrix, [row, first], real)
                total = _load(builder, pointer)
                for k in range(ROWS):
                    total = _multiply_add(builder, some[k], of_row[k], total)
                _store(builder, total, pointer)
            return count

        _loop(builder, begin, size, PAIRED, INDEX(0), subtract)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _dot_lanes(typing_context, a, b, number):
    """Sum of the products of the first values, float64; number: a multiple of PRODUCTS."""
    real = ir.VectorType(ir.DoubleType(), PRODUCTS)

    def generate(context, builder, signature, arguments):
        def add_products(total, first):
            some = (
                _load(builder, _lanes(context, builder, array_type, array, [first], real))
                for array_type, array in zip(signature.args[:2], arguments[:2])
            )
            return _multiply_add(builder, *some, total)

        sums = ir.Constant(real, [0.0] * PRODUCTS)
        sums = _loop(builder, INDEX(0), arguments[2], PRODUCTS, sums, add_products)
        return added_up(builder, sums)

    return types.float64(a, b, types.intp), generate


@routine
def dot(a, b):
    """Of two vectors, (n,) float64."""
    whole = a.size - a.size % PRODUCTS
    total = _dot_lanes(a, b, whole)
    for d in range(whole, a.size):
        total += a[d] * b[d]
    return total


def _weighted_sums(lanes):
    """Of so many columns: see weigh_rows."""

    @intrinsic
    def weighted_sums(typing_context, weights, column, rows, amounts, begin, end, shift, sums):
        signature = types.void(
            weights, types.intp, rows, amounts, types.intp, types.intp, types.intp, sums
        )
        real = ir.VectorType(ir.FloatType(), lanes)
        apart = LANES // lanes  # sums, as one alone would have to wait for each product

        def generate(context, builder, signature, arguments):
            weights, column, rows, amounts, begin, end, shift, sums = arguments
            kinds = signature.args

            def product(spike, total):
                row, amount = (
                    builder.load(_lanes(context, builder, kind, array, [spike], element))
                    for kind, array, element in (
                        (kinds[2], rows, ir.IntType(32)),
                        (kinds[3], amounts, ir.FloatType()),
                    )
                )
                place = builder.add(builder.sext(row, INDEX), shift)
                some = _load(
                    builder, _lanes(context, builder, kinds[0], weights, [place, column], real)
                )
                return _multiply_add(builder, some, _spread(builder, amount, real), total)

            def add_some(totals, spike):
                for k in range(apart):
                    total = builder.extract_value(totals, k)
                    total = product(builder.add(spike, INDEX(k)), total)
                    totals = builder.insert_value(totals, total, k)
                return totals

            nothing = ir.Constant(real, [0.0] * lanes)
            rest = builder.and_(builder.sub(end, begin), INDEX(apart - 1))
            middle = builder.sub(end, rest)
            totals = ir.Constant(ir.ArrayType(real, apart), [nothing] * apart)
            totals = _loop(builder, begin, middle, apart, totals, add_some)
            total = nothing
            for k in range(apart):
                total = builder.fadd(total, builder.extract_value(totals, k))
            total = _loop(
                builder, middle, end, 1, total, lambda total, spike: product(spike, total)
            )
            _store(builder, total, _lanes(context, builder, kinds[7], sums, [column], real))
            return context.get_dummy_value()

        return signature, generate

    return weighted_sums


_weighted_sums_64, _weighted_sums_32, _weighted_sums_16 = map(_weighted_sums, (64, 32, 16))


@routine
def weigh_rows(weights, rows, amounts, begin, end, shift, sums):
    """sums = the rows `shift` below rows[begin:end] of the weights, times amounts[begin:end].

    weights: (inputs, neurons) float32; neurons: a multiple of SQUARES. rows: int32.
    amounts, sums: float32. Each column's sum stays in a register throughout.
    """
    neurons = sums.size
    column = 0
    while neurons - column >= 64:
        _weighted_sums_64(weights, column, rows, amounts, begin, end, shift, sums)
        column += 64
    if neurons - column >= 32:
        _weighted_sums_32(weights, column, rows, amounts, begin, end, shift, sums)
        column += 32
    if neurons - column >= 16:
        _weighted_sums_16(weights, column, rows, amounts, begin, end, shift, sums)


def _correlated(lanes):
    """Of so many values: see correlate."""

    @intrinsic
    def correlated(typing_context, values, first, step, weights, sums, place):
        signature = types.void(values, types.intp, types.intp, weights, sums, types.intp)
        real = ir.VectorType(ir.FloatType(), lanes)

        def generate(context, builder, signature, arguments):
            values, first, step, weights, sums, place = arguments
            kinds = signature.args
            size = context.make_array(kinds[3])(context, builder, weights).nitems

            def add(total, tap):
                weight = builder.load(
                    _lanes(context, builder, kinds[3], weights, [tap], ir.FloatType())
                )
                at = builder.add(first, builder.mul(tap, step))
                some = _load(builder, _lanes(context, builder, kinds[0], values, [at], real))
                return _multiply_add(builder, some, _spread(builder, weight, real), total)

            total = ir.Constant(real, [0.0] * lanes)
            total = _loop(builder, INDEX(0), size, 1, total, add)
            _store(builder, total, _lanes(context, builder, kinds[4], sums, [place], real))
            return context.get_dummy_value()

        return signature, generate

    return correlated


_correlated_32, _correlated_4, _correlated_1 = map(_correlated, (32, 4, 1))


@routine
def correlate(values, first, step, weights, sums, place, number):
    """sums[place + q] = the sum over k of weights[k] * values[first + k * step + q], for q below
    `number`; all (n,) float32."""
    q = 0
    while number - q >= 32:
        _correlated_32(values, first + q, step, weights, sums, place + q)
        q += 32
    while number - q >= 4:
        _correlated_4(values, first + q, step, weights, sums, place + q)
        q += 4
    while number - q >= 1:
        _correlated_1(values, first + q, step, weights, sums, place + q)
        q += 1


@intrinsic
def sum_and_most(typing_context, values, first, number):
    """The sum of values[first : first + number], float32, and the highest of them; number: a
    multiple of SQUARES, from one on."""
    signature = types.UniTuple(types.float32, 2)(values, types.intp, types.intp)
    real = ir.VectorType(ir.FloatType(), SQUARES)
    both = ir.ArrayType(real, 2)

    def generate(context, builder, signature, arguments):
        values, first, number = arguments

        def load(offset):
            place = builder.add(first, offset)
            return _load(
                builder, _lanes(context, builder, signature.args[0], values, [place], real)
            )

        def add(totals, offset):
            some = load(offset)
            total, most = (builder.extract_value(totals, k) for k in range(2))
            higher = builder.fcmp_ordered('>', some, most)
            totals = builder.insert_value(totals, builder.fadd(total, some), 0)
            return builder.insert_value(totals, builder.select(higher, some, most), 1)

        begin = load(INDEX(0))
        totals = builder.insert_value(ir.Constant(both, ir.Undefined), begin, 0)
        totals = builder.insert_value(totals, begin, 1)
        totals = _loop(builder, INDEX(SQUARES), number, SQUARES, totals, add)
        total = added_up(builder, builder.extract_value(totals, 0))
        lanes = builder.extract_value(totals, 1)
        parts = [builder.extract_element(lanes, ir.IntType(32)(k)) for k in range(SQUARES)]
        while len(parts) > 1:
            parts = [
                builder.select(builder.fcmp_ordered('>', a, b), a, b)
                for a, b in zip(parts[::2], parts[1::2])
            ]
        return context.make_tuple(builder, signature.return_type, (total, parts[0]))

    return signature, generate


@intrinsic
def add_excess(typing_context, sums, place, values, first, number, threshold, factor):
    """sums[place + k] += factor * (values[first + k] - threshold) where that is above 0; how many
    are. number: of k, a multiple of SQUARES; all float32."""
    signature = types.intp(
        sums, types.intp, values, types.intp, types.intp, types.float32, types.float32
    )
    real = ir.VectorType(ir.FloatType(), SQUARES)

    def generate(context, builder, signature, arguments):
        sums, place, values, first, number, threshold, factor = arguments

        thresholds, factors = _spread(builder, threshold, real), _spread(builder, factor, real)
        nothing = ir.Constant(real, [0.0] * SQUARES)

        def add(count, offset):
            at = builder.add(first, offset)
            some = _load(builder, _lanes(context, builder, signature.args[2], values, [at], real))
            excess = builder.fsub(some, thresholds)
            above = builder.fcmp_ordered('>', excess, nothing)
            at = builder.add(place, offset)
            pointer = _lanes(context, builder, signature.args[0], sums, [at], real)
            gain = builder.select(above, builder.fmul(excess, factors), nothing)
            _store(builder, builder.fadd(_load(builder, pointer), gain), pointer)
            fired = builder.ctpop(builder.bitcast(above, ir.IntType(SQUARES)))
            return builder.add(count, builder.zext(fired, INDEX))

        return _loop(builder, INDEX(0), number, SQUARES, INDEX(0), add)

    return signature, generate


@intrinsic
def accumulate(typing_context, phase, increment, first):
    """phase[first : first + LANES] += increment, modulo PHASE_ONE; a word with a bit for each that
    reached PHASE_ONE. Both int32."""
    signature = types.uint64(phase, increment, types.intp)
    vector = ir.VectorType(ir.IntType(32), LANES)

    def generate(context, builder, signature, arguments):
        phase, increment = (
            _lanes(context, builder, array_type, array, [arguments[2]], vector)
            for array_type, array in zip(signature.args, arguments[:2])
        )
        total = builder.add(_load(builder, phase), _load(builder, increment))
        rest = ir.Constant(vector, [PHASE_ONE - 1] * LANES)
        _store(builder, builder.and_(total, rest), phase)
        one = ir.Constant(vector, [PHASE_ONE] * LANES)
        return builder.bitcast(builder.icmp_signed('>=', total, one), ir.IntType(LANES))

    return signature, generate


@intrinsic
def lowest_bit(typing_context, word):
    """The place of the lowest bit that is set in a word, uint64; 64 if none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def set_bits(typing_context, word):
    """How many bits are set in a word, uint64."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
