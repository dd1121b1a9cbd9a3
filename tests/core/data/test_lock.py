import subprocess
import sys
import threading
import time

import pytest

from lt4rec_core.data.lock import locked


def test_one_at_a_time_holds_a_lock(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path / ".lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 5


def test_an_error_inside_gives_the_lock_back(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / ".lock"):
        raise KeyError
    with locked(tmp_path / ".lock"):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    path = tmp_path / ".lock"
    script = f"""
import os
from pathlib import Path
from lt4rec_core.data.lock import locked
with locked(Path({str(path)!r})):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with locked(path):
        pass


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "no" / ".lock"):
        pass
