"""Work whose process is killed, as the kernel does when memory runs out."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def dies(project: Any, say: Callable[[str], None], path: str, times: int) -> str:
    """Be killed so many times; the file counts."""
    file = Path(path)
    before = len(file.read_text()) if file.exists() else 0
    say(f"begun, {before} deaths so far")
    if before < times:
        file.write_text("x" * (before + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return f"done after {before} deaths"
