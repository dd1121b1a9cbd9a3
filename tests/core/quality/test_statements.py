import pytest

from lt4rec_core.quality.statements import Statements
from lt4rec_core.quality.suites import DEFAULTS, CheckSpec

REFERENCES = CheckSpec("references", "critical", "Clicks are exactly the clicked impressions.")


@pytest.fixture
def statements(world):
    with world.lake.scratch() as con:
        con.execute("create schema checks")
        settings = {**DEFAULTS, "dt": world.day}
        yield Statements(con, world.lake, world.source, "samples.clicks", world.day, settings)


def test_a_check_leaves_its_offenders_and_no_view_of_its_inputs(statements):
    found = statements.run(REFERENCES)

    assert (found.n_faults, found.rows, found.error) == (0, [], "")
    tables = statements.con.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    assert tables == [("checks", "samples_clicks_references")]
    assert not statements.con.execute("select * from duckdb_views() where not internal").fetchall()


def test_a_check_that_cannot_run_says_why(statements):
    missing = statements.run(CheckSpec("nothing", "critical", "A check without a file."))
    statements.settings = {}
    unset = statements.run(REFERENCES)

    assert "samples_clicks_nothing.sql" in missing.error
    assert unset.error == "nothing sets $dt"
