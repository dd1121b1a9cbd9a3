"""Follow a document literally: write its files, run its commands, compare what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of

SHIMS = {"lt4rec": "-m lt4rec_assets.cli", "python": ""}
_VARIES = re.compile(r"\d+(\.\d+)? (B|kB|MB|GB|s)\b|^\[\d+/\d+\].*$", re.MULTILINE)
"""Sizes of files, and how long things took: what may differ from what the document shows."""


class Reader:
    """Somebody who types what a document says, in an empty folder and one shell."""

    def __init__(self, document: Path, folder: Path) -> None:
        self.blocks = blocks_of(document)
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        self._install()
        self.environment: dict[str, str] = {}

    def _install(self) -> None:
        """Put ``lt4rec`` and ``python`` of this checkout on the path."""
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name, arguments in SHIMS.items():
            shim = self.bin / name
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            shim.chmod(0o755)

    def follow(self, until: str = "") -> list[tuple[str, str]]:
        """Write each file, run each ``sh`` block, and pair what it printed with the ``text`` block after it.

        Args:
            until: stop before the block that has this text; everything else runs.

        Returns:
            (shown in the document, printed), sizes and durations taken out.
        """
        pairs, printed = [], ""
        for block in self.blocks:
            if until and until in block.text:
                break
            if block.file:
                path = self.work / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            elif block.language == "sh":
                printed = self._run(block.text)
            elif block.language == "text":
                pairs.append((_plain(block.text), _plain(printed)))
            else:
                raise AssertionError(f"{block.where}: nobody is told what to do with this block")
        return pairs

    def _run(self, commands: str) -> str:
        # What a block exports holds for those after it, as in a shell that stays open.
        kept = self.folder / "environment"
        done = subprocess.run(
            ["bash", "-euc", f"{commands}\nenv -0 > '{kept}'"],
            cwd=self.work,
            env=self.environment or self._first_environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        self.environment = dict(pair.split("=", 1) for pair in kept.read_text().split("\0") if "=" in pair)
        return done.stdout

    def _first_environment(self) -> dict[str, str]:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("LT4REC_", "DAGSTER_"))}
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        return {**mine, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in _VARIES.sub("#", text).strip().splitlines())
