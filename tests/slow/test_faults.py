"""A home whose disk runs full under a backfill: clear words, whole days, and a retry that finishes."""

import os
import subprocess
from contextlib import suppress
from itertools import count

import pytest
from support import homes
from support.homes import fingerprints, not_whole, simulated_home

pytestmark = pytest.mark.slow

SELECT = ("--select", "group:source or group:samples")


@pytest.fixture
def disk(tmp_path):
    """A disk of 32 megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_backfill_on_a_full_disk_says_so_and_finishes_once_there_is_room(
    undisturbed, disk, tmp_path, monkeypatch
):
    numbers = count()
    monkeypatch.setattr(homes, "new_log", lambda _: tmp_path / f"{next(numbers)}.log")  # not on the full disk
    final, home = fingerprints(undisturbed), simulated_home(disk, len(undisturbed.days))
    first, second = home.days[:2]
    home.lt4rec("backfill", "--from", str(first), "--to", str(first), *SELECT)

    for room in (0, 400):
        filler = _fill(disk, leave_kilobytes=room)
        with home.process("backfill", "--from", str(second), "--to", str(second), *SELECT) as run:
            assert run.process.wait(100) in (1, 2), run.printed()
            said = run.printed()
        assert "disk is full" in said, said
        assert "make room and run the day again" in said, said
        assert "Traceback" not in said.partition("RUST_BACKTRACE")[0], said
        assert not not_whole(fingerprints(home), final), f"half a day is visible: {said}"
        filler.unlink()

    home.lt4rec("backfill", "--from", str(first), "--to", str(second), *SELECT)
    made = {(t, d) for t, d in final if t.split(".")[0] in ("source", "samples") and d in (first, second)}
    assert fingerprints(home) == {cell: final[cell] for cell in made}
    assert not list(home.lake.staging.iterdir())


def _fill(disk, leave_kilobytes):
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    os.truncate(filler, filler.stat().st_size - leave_kilobytes * 1024)
    return filler
