import numpy as np
import pytest

from lt4rec_core.training.rows_kernel import move_rows


def by_definition(rows, source, weight, gradient, table, accumulator, learning_rate, eps):
    """Adagrad with one accumulator a row, with loops, in double precision."""
    table, accumulator = table.astype(float), accumulator.astype(float)
    for row in sorted(set(rows.tolist())):
        here = rows == row
        total = (gradient[source[here]].astype(float) * weight[here][:, None]).sum(0)
        accumulator[row] += (total**2).mean()
        table[row] -= learning_rate * total / (np.sqrt(accumulator[row]) + eps)
    return table, accumulator


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 8, 19])
def test_it_moves_rows_as_the_definition_says_and_no_other(weighted, d):
    draw = np.random.default_rng(d)
    rows, source = np.sort(draw.integers(0, 20, 60)), draw.permutation(60)
    gradient = draw.normal(size=(60, d)).astype(np.float32)
    table = draw.normal(size=(40, d)).astype(np.float32)
    accumulator, touched = draw.random(40).astype(np.float32), np.zeros(40, bool)
    weight = draw.random(60).astype(np.float32) if weighted else np.ones(60, np.float32)
    before = table.copy(), accumulator.copy()
    expected = by_definition(rows, source, weight, gradient, table, accumulator, 0.1, 1e-3)

    given = weight if weighted else np.empty(0, np.float32)
    move_rows(rows, source, given, gradient, table, accumulator, touched, np.float32(0.1), np.float32(1e-3))

    np.testing.assert_allclose(table, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(accumulator, expected[1], rtol=1e-5)
    assert set(np.flatnonzero(touched)) == set(rows.tolist())
    assert np.array_equal(table[20:], before[0][20:])
    assert np.array_equal(accumulator[20:], before[1][20:])


def test_equal_calls_give_equal_bits():
    found = []
    for _ in range(2):
        draw = np.random.default_rng(0)
        rows, gradient = np.sort(draw.integers(0, 50, 500)), draw.normal(size=(500, 32)).astype(np.float32)
        table, accumulator = np.ones((50, 32), np.float32), np.zeros(50, np.float32)
        move_rows(
            rows, np.arange(500), np.empty(0, np.float32), gradient, table, accumulator, np.zeros(50, bool),
            np.float32(0.05), np.float32(1e-8),
        )  # fmt: skip
        found.append(table)
    assert np.array_equal(*found)
