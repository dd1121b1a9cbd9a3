"""A PostgreSQL server of Debian's package, in a folder of its own, for as long as a ``with`` block lasts."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.homes import end_session

USER, DATABASE = "dagster", "dagster"
PASSWORD = "p@ss/w:rd%41#é?"
"""With every character that means something in an address."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def programs() -> Path:
    """Where initdb and postgres lie; the test is skipped where they don't."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


class Postgres:
    """One server on a free port of 127.0.0.1; ``url`` has its password in it."""

    def __init__(self) -> None:
        self._bin = programs()
        self.port = free_port()
        self.url = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{DATABASE}"
        # Not below pytest's folders: the server refuses to be root, and others may not look into those.
        self._folder = Path(tempfile.mkdtemp(prefix="lt4rec-postgres-"))
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self._process: Any = None

    def __enter__(self) -> "Postgres":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        if self._as:
            for path in (self._folder, secret):
                shutil.chown(path, "postgres", "postgres")
        data, log = self._folder / "data", self._folder / "log"
        subprocess.run(
            [
                self._bin / "initdb", "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
            ],
            check=True, capture_output=True, cwd=self._folder, **self._as,
        )  # fmt: skip
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres", "-D", data, "-k", self._folder, "-h", "127.0.0.1",
                    "-p", str(self.port), "-c", "fsync=off",
                ],
                stdout=output, stderr=subprocess.STDOUT, cwd=self._folder, start_new_session=True, **self._as,
            )  # fmt: skip
        end = time.monotonic() + 30
        while True:
            try:
                self.ask(f"create database {DATABASE}", database="postgres")
                return
            except Exception:
                assert self._process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)

    def ask(self, text: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run one statement; the rows it gives."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end_session(self._process, signal.SIGINT)  # PostgreSQL's fast shutdown
        shutil.rmtree(self._folder, ignore_errors=True)
