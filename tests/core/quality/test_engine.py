import subprocess
import sys

import pytest

from lt4rec_core.quality.engine import SCHEMAS, session

SCRIPT = """
from lt4rec_core.quality.engine import session
import great_expectations as gx, great_expectations.expectations as gxe
with session() as engine:
    engine.con.execute("create view audited.staged as select 1 as a")
    suite = gx.ExpectationSuite(name="s", expectations=[gxe.ExpectColumnValuesToNotBeNull(column="a")])
    assert engine.validate(suite).success
"""


def tables(con):
    return con.execute(
        "select schema_name, table_name from duckdb_tables() union all "
        "select schema_name, view_name from duckdb_views() where not internal"
    ).fetchall()


def test_a_session_begins_and_ends_empty_even_when_it_fails():
    def fail():
        with session() as engine:
            assert tables(engine.con) == []
            engine.con.execute("create table checks.leftover (a integer)")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()

    with session() as again:
        assert tables(again.con) == []


def test_sql_cannot_reach_python_variables():
    rows_of_python = [1, 2, 3]
    with session() as engine, pytest.raises(Exception, match="rows_of_python does not exist"):
        engine.con.execute("from rows_of_python")
    assert rows_of_python == [1, 2, 3]


def test_there_is_a_schema_for_the_day_and_one_for_the_checks():
    with session() as engine:
        found = engine.con.execute("select schema_name from information_schema.schemata").fetchall()
    assert set(SCHEMAS) <= {row[0] for row in found}


def test_great_expectations_prints_nothing_and_leaves_no_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [str(p) for p in tmp_path.rglob("*") if p.is_file()] == []
