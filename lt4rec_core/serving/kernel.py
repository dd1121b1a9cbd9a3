"""The sparse kernel: one compiled loop that takes many samples at once through layers of few weights.

A weight that is there multiplies one input of 16, or 64, samples: samples stand side by side in a vector, so
that the pattern of the weights costs nothing but an index per weight. Lists of weights are cut into panels
of columns whose inputs stay in the processor's first cache while all rows pass over them.

numba compiles it, once per machine. A plain loop leaves half of a wide processor unused, so the innermost
loop is written with explicit vectors; any processor can run them, in as many pieces as it needs. Import this
module where it is used: nobody else should pay for numba, and without numba ``trunk`` runs everything dense.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Samples in one vector of single precision."""

WIDE = 4
"""Vectors taken together where there are enough samples."""

UNROLLED = 2
"""Weights per turn of the innermost loop: lists of weights are filled up with zeros to a multiple of it."""


def aligned(n: int) -> np.ndarray:
    """``n`` floats from a cache line's start: a vector across two lines would cost two loads."""
    raw = np.empty(n + LANES, dtype=np.float32)
    start = -(raw.ctypes.data // 4) % LANES
    return raw[start : start + n]


def _load(b: Any, address: Any) -> Any:
    """A vector from an address in bytes. On a cache line's start it is fast, elsewhere it is still right."""
    loaded = b.load(b.inttoptr(address, ir.VectorType(ir.FloatType(), LANES).as_pointer()))
    loaded.align = 4
    return loaded


def _store(b: Any, value: Any, address: Any) -> None:
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = 4


def _shuffle(b: Any, first: Any, second: Any, places: list[int]) -> Any:
    """A vector of the places of two, the second's counting from 16."""
    return b.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), LANES), places))


@intrinsic
def _tile(typing, source, source_step, target, target_step):  # type: ignore[no-untyped-def]
    """Transpose 16 by 16 floats between two addresses, whose rows lie so many bytes apart.

    Four rounds exchange blocks of 1, 2, 4 and 8 between pairs of vectors.
    """
    signature = types.void(types.int64, types.int64, types.int64, types.int64)

    def generate(context, b, _, arguments):  # type: ignore[no-untyped-def]
        source, source_step, target, target_step = arguments

        def row(address: Any, step: Any, i: int) -> Any:
            return b.add(address, b.mul(step, ir.Constant(ir.IntType(64), i)))

        rows = [_load(b, row(source, source_step, i)) for i in range(LANES)]
        for size in (1, 2, 4, 8):
            lower = [i if i // size % 2 == 0 else i - size + LANES for i in range(LANES)]
            upper = [i + size if i // size % 2 == 0 else i + LANES for i in range(LANES)]
            for i in (i for i in range(LANES) if i // size % 2 == 0):
                a, c = rows[i], rows[i + size]
                rows[i], rows[i + size] = _shuffle(b, a, c, lower), _shuffle(b, a, c, upper)
        for i, values in enumerate(rows):
            _store(b, values, row(target, target_step, i))
        return context.get_dummy_value()

    return signature, generate


def _accumulate(vectors: int) -> Any:
    """The innermost loop: ``target += sum of weight * input`` over one row's weights of one panel.

    All arguments are addresses in bytes, or a count. Written in LLVM's own terms because numba has no vector
    type: sums stay in registers, two independent sets of them so that one need not wait for the other.
    """
    shift = (4 * LANES * vectors).bit_length() - 1  # from columns to bytes

    @intrinsic
    def accumulate(typing, x, columns, values, n, target):  # type: ignore[no-untyped-def]
        signature = types.void(types.int64, types.int64, types.int64, types.int64, types.int64)

        def generate(context, b, _, arguments):  # type: ignore[no-untyped-def]
            x, columns, values, n, target = arguments
            scalar, i16, i64 = ir.FloatType(), ir.IntType(16), ir.IntType(64)
            vector = ir.VectorType(scalar, LANES)
            zeros = ir.Constant(vector, [0.0] * LANES)
            fma = cgutils.get_or_insert_function(
                b.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32"
            )

            def load(address: Any, i: int) -> Any:
                return _load(b, b.add(address, ir.Constant(i64, 4 * LANES * i)))

            def spread(value: Any) -> Any:
                one = b.insert_element(zeros, value, ir.Constant(ir.IntType(32), 0))
                return _shuffle(b, one, one, [0] * LANES)

            columns = b.inttoptr(columns, i16.as_pointer())
            values = b.inttoptr(values, scalar.as_pointer())
            before = [[load(target, j) for j in range(vectors)], [zeros] * vectors]
            entry, loop, end = b.block, b.append_basic_block("loop"), b.append_basic_block("end")
            b.cbranch(b.icmp_signed(">", n, ir.Constant(i64, 0)), loop, end)

            b.position_at_end(loop)
            k = b.phi(i64)
            sums = [[b.phi(vector) for _ in range(vectors)] for _ in range(UNROLLED)]
            after: list[list[Any]] = []
            for u in range(UNROLLED):
                at = b.add(k, ir.Constant(i64, u))
                column = b.zext(b.load(b.gep(columns, [at])), i64)
                inputs = b.add(x, b.shl(column, ir.Constant(i64, shift)))
                weight = spread(b.load(b.gep(values, [at])))
                after.append([b.call(fma, [weight, load(inputs, j), sums[u][j]]) for j in range(vectors)])
            following = b.add(k, ir.Constant(i64, UNROLLED))
            k.add_incoming(ir.Constant(i64, 0), entry)
            k.add_incoming(following, loop)
            for u in range(UNROLLED):
                for j in range(vectors):
                    sums[u][j].add_incoming(before[u][j], entry)
                    sums[u][j].add_incoming(after[u][j], loop)
            b.cbranch(b.icmp_signed("<", following, n), loop, end)

            b.position_at_end(end)
            ends = [[b.phi(vector) for _ in range(vectors)] for _ in range(UNROLLED)]
            for u in range(UNROLLED):
                for j in range(vectors):
                    ends[u][j].add_incoming(before[u][j], entry)
                    ends[u][j].add_incoming(after[u][j], loop)
            for j in range(vectors):
                _store(b, b.fadd(ends[0][j], ends[1][j]), b.add(target, ir.Constant(i64, 4 * LANES * j)))
            return context.get_dummy_value()

        return signature, generate

    return accumulate


def _compiled(function: Any) -> Any:
    """Compile at the first call and keep the result on disk, where this machine has a place for it."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return njit(nogil=True, error_model="numpy")(function)


_narrow, _wide = _accumulate(1), _accumulate(WIDE)


@_compiled
def _transpose(x, first, n, width, into):  # type: ignore[no-untyped-def]
    """Samples (n, d) to inputs side by side (d, width); lanes without a sample are zero."""
    d = x.shape[1]
    tiled, lanes = d // LANES * LANES, n // LANES * LANES
    source, target = x.ctypes.data + first * d * 4, into.ctypes.data
    for lane in range(0, lanes, LANES):
        for i in range(0, tiled, LANES):
            _tile(source + (lane * d + i) * 4, d * 4, target + (i * width + lane) * 4, width * 4)
        for i in range(tiled, d):
            for one in range(lane, lane + LANES):
                into[i * width + one] = x[first + one, i]
    for lane in range(lanes, width):
        for i in range(d):
            into[i * width + lane] = x[first + lane, i] if lane < n else np.float32(0)


@_compiled
def _layer(layer, width, source, target, columns, values, starts, rows, biases):  # type: ignore[no-untyped-def]
    """One layer for one block of ``width`` samples, from one buffer to another."""
    n_out, n_panels = layer[1], layer[2]
    first_start, first_row, first_bias = layer[3], layer[4], layer[5]
    for o in range(n_out):
        for lane in range(width):
            target[o * width + lane] = biases[first_bias + o]
    x, y = source.ctypes.data, target.ctypes.data
    c, v = columns.ctypes.data, values.ctypes.data
    for p in range(n_panels):
        for j in range(n_out):
            start = starts[first_start + p * (n_out + 1) + j]
            n = starts[first_start + p * (n_out + 1) + j + 1] - start
            into = y + rows[first_row + p * n_out + j] * width * 4
            if width == LANES:
                _narrow(x, c + start * 2, v + start * 4, n, into)
            else:
                _wide(x, c + start * 2, v + start * 4, n, into)
    if layer[6]:
        for i in range(n_out * width):
            target[i] = max(target[i], np.float32(0))


@_compiled
def forward(x, layers, heads, columns, values, starts, rows, biases, scratch, out):  # type: ignore[no-untyped-def]
    """Run heads of sparse layers that begin with the same inputs.

    Args:
        x: (b, d_in) float32.
        layers: (n, 8) int64, one row a layer: inputs, outputs, panels, where its ``starts``, ``rows`` and
            ``biases`` begin, whether a ReLU follows, where its outputs go in ``out`` (-1: to the next layer).
        heads: (h + 1,) int64; head i has the layers from ``heads[i]`` up to ``heads[i + 1]``.
        columns: (w,) uint16, per weight its column.
        values: (w,) float32, the weights, panel by panel, row by row.
        starts: per layer and panel, where each row's weights begin, and where the last one's end.
        rows: per layer and panel, the rows in the order of their lists.
        biases: of all layers.
        scratch: float32, aligned: three buffers of a block, of 16 samples or 64, times the widest layer.
        out: (b, outputs of all heads) float32, filled in.
    """
    third = len(scratch) // 3
    first = 0
    while first < len(x):
        left = len(x) - first
        width = WIDE * LANES if left > (WIDE - 1) * LANES else LANES
        n = min(left, width)
        _transpose(x, first, n, width, scratch[:third])
        for head in range(len(heads) - 1):
            source, turn = scratch[:third], 1
            for at in range(heads[head], heads[head + 1]):
                target = scratch[turn * third : (turn + 1) * third]
                _layer(layers[at], width, source, target, columns, values, starts, rows, biases)
                to = layers[at, 7]
                if to >= 0:
                    for lane in range(n):
                        for o in range(layers[at, 1]):
                            out[first + lane, to + o] = target[o * width + lane]
                source, turn = target, 3 - turn
        first += n
