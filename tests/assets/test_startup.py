"""What a new process pays before it works: every run, server and command loads the definitions."""

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_CPU_SECONDS = 2.5
HEAVY = ("torch", "great_expectations", "pandas", "matplotlib", "sklearn", "numba", "onnx")
CODE = f"""
import sys
from lt4rec_assets.definitions import defs
defs.load_fn().resolve_asset_graph()
print([name for name in {HEAVY} if name in sys.modules])
"""


def children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_loading_the_definitions_takes_little_and_imports_nothing_heavy(tmp_path):
    env = {**os.environ, "LT4REC_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    before = children_cpu_seconds()

    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )

    assert children_cpu_seconds() - before < MOST_CPU_SECONDS
    assert done.stdout.strip() == "[]", "these belong into the functions that use them"
