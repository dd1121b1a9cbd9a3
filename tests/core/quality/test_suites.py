import subprocess
import sys
from pathlib import Path

import pytest

from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.quality.profiles import PROFILES
from lt4rec_core.quality.published import PUBLISHED_CHECKS
from lt4rec_core.quality.suites import CHECKS, DEFAULTS, SUITES, check_file, check_fragments, range_fragments

CHECKS_FOLDER = Path(__file__).resolve().parents[3] / "sql" / "checks"


@pytest.fixture(scope="module")
def fragments(world):
    return check_fragments(world.source.catalogue)


def test_every_file_in_sql_checks_stands_behind_a_named_check(fragments):
    every = {**CHECKS, **PUBLISHED_CHECKS}
    named = {check_file(table, c.name) for table, checks in every.items() for c in checks if c.has_sql}
    assert named == {path.stem for path in CHECKS_FOLDER.glob("*.sql")}


def test_a_check_sees_its_own_table_and_says_what_it_yields(world, fragments):
    for table, checks in {**CHECKS, **PUBLISHED_CHECKS}.items():
        for check in checks:
            if check.has_sql:
                file = read_sql_file(
                    CHECKS_FOLDER / f"{check_file(table, check.name)}.sql", fragments=fragments
                )
                # Its table itself, or the profiles of its days.
                assert {table, PROFILES} & {given.table for given in file.inputs}
                assert set(file.params) <= {"dt", *DEFAULTS, *world.params}


def test_check_names_are_unique_and_severities_known():
    for checks in CHECKS.values():
        assert len({check.name for check in checks}) == len(checks)
        assert {check.severity for check in checks} <= {"critical", "warning"}


def test_every_expectation_names_a_check_of_its_table_and_every_check_has_one(world):
    for table, suite in SUITES.items():
        built = suite(world.files[table].columns, DEFAULTS)
        assert {e.meta["check"] for e in built.expectations} == {check.name for check in CHECKS[table]}


def test_the_checks_can_be_listed_without_importing_great_expectations():
    code = "import sys, lt4rec_core.quality.suites; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_shared_feature_is_held_to_the_embedding_it_shares(world):
    catalogue = world.source.catalogue
    sharing = next(feature for feature in catalogue.features if feature.shares)
    last = catalogue.embeddings[sharing.shares] - 1
    for fragment in range_fragments(catalogue).values():
        assert f"list_max({sharing.column}) > {last}" in fragment.sql
