"""Run every benchmark in turn, each in a process of its own, and print one Markdown table.

Progress goes to standard error, so that the table alone can be piped into a file.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import BENCHMARKS, Figure, machine, table

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Print the table; 1 where a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smallest sizes, one run: shows that they run")
    parser.add_argument("--large", action="store_true", help="also the sizes that take minutes")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME")
    asked = parser.parse_args()
    options = [f"--{name}" for name in ("quick", "large") if getattr(asked, name)]
    figures, failed = [], []
    for name in asked.only:
        command = ["python", "-m", f"benchmarks.{name}", *options]
        print(" ".join(command), file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, *command[1:], "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            failed.append(name)
        else:
            figures += [Figure(**figure) for figure in json.loads(done.stdout)]
    print(f"{machine()}\n\n{table(figures)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
