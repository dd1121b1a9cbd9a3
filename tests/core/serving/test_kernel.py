import subprocess
import sys

import numpy as np

from lt4rec_core.serving import kernel


def test_buffers_begin_with_a_cache_line():
    assert all(kernel.aligned(n).ctypes.data % 64 == 0 and len(kernel.aligned(n)) == n for n in (1, 63, 1000))


def test_the_kernel_adds_to_what_is_there_and_lanes_do_not_mix():
    # One layer of one row with the weights 2 and 3 on the columns 1 and 0, over 16 samples.
    x = np.arange(32, dtype=np.float32).reshape(16, 2)
    table = np.array([[2, 1, 1, 0, 0, 0, 0, 0]], dtype=np.int64)
    out, scratch = np.empty((16, 1), np.float32), kernel.aligned(3 * 2 * 64)

    kernel.forward(
        x, table, np.array([0, 1]), np.array([1, 0], np.uint16), np.float32([2, 3]), np.array([0, 2]),
        np.array([0]), np.float32([100]), scratch, out,
    )  # fmt: skip

    assert out[:, 0].tolist() == [100 + 2 * b + 3 * a for a, b in x.tolist()]


def test_nobody_but_serving_pays_for_numba():
    code = (
        "import sys, lt4rec_assets.cli, lt4rec_core.serving.trunk, lt4rec_core.training.daily; "
        "sys.exit('numba' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
