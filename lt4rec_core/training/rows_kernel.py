"""One compiled loop over the rows of a batch: sum a row's gradients, let its accumulator grow, move it.

PyTorch would write the sums, read them again for their squares and a third time to add them to the table.
Here a row's sum stays in the processor, which hides the time that finding the next rows takes. numba compiles
it once per machine; import this module where it is used, nobody else should pay for numba.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@njit(cache=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator,unused-ignore]
def move_rows(
    rows: Rows,
    source: Rows,
    weight: Floats,
    gradient: Floats,
    table: Floats,
    accumulator: Floats,
    touched: npt.NDArray[np.bool_],
    learning_rate: np.float32,
    eps: np.float32,
) -> None:
    """Row-wise Adagrad, in place.

    Args:
        rows: (m,) ascending, equal ones side by side.
        source: (m,) whose gradient each is, a row of ``gradient``.
        weight: (m,) of those gradients, or empty where all are 1.
        gradient: (k, d).
        table: (n_rows, d).
        accumulator: (n_rows,) grows by the mean square of a row's summed gradient.
        touched: (n_rows,) is set where a row moved.
        learning_rate: of the step.
        eps: added to the root.
    """
    m, d = len(rows), table.shape[1]
    total = np.empty(d, np.float32)
    i = 0
    while i < m:
        row = rows[i]
        total[:] = 0
        while i < m and rows[i] == row:
            share = weight[i] if len(weight) else np.float32(1)
            found = gradient[source[i]]
            for k in range(d):
                total[k] += share * found[k]
            i += 1
        square = np.float32(0)
        for k in range(d):
            square += total[k] * total[k]
        accumulator[row] += square / np.float32(d)
        scale = learning_rate / (np.sqrt(accumulator[row]) + eps)
        moved = table[row]
        for k in range(d):
            moved[k] -= scale * total[k]
        touched[row] = True
