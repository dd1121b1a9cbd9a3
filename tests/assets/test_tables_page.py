"""Every column is described, once, and what is written from the descriptions is current."""

import pytest

from lt4rec_assets.metadata import describe_table
from lt4rec_assets.project import Project
from lt4rec_assets.settings import SQL_ROOT, read_settings
from lt4rec_assets.tables_page import PAGE, tables_page
from lt4rec_core.data.lake import Lake

SOURCES = sorted(p.parent.name for p in SQL_ROOT.glob("sources/*/source.toml"))


def project_of(source):
    return Project.of(read_settings({"LT4REC_START": "2026-01-05", "LT4REC_SOURCE": source}))


@pytest.mark.parametrize("source", SOURCES)
def test_every_column_of_every_table_and_view_is_described(source):
    tables = project_of(source).lake_tables
    assert len(tables) > 25
    assert [f"{t.table}.{c.name}" for t in tables for c in t.columns if not c.description.strip()] == []


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == tables_page(), "make docs writes it anew"


def test_the_ui_tells_what_the_header_says_with_its_unit(tmp_path):
    table = project_of("simulator").tables["samples.clicks"]
    schema = describe_table(table, Lake(tmp_path))["dagster/column_schema"]

    told = {column.name: column.description for column in schema.columns}
    assert told["user_id"] == next(c.description for c in table.columns if c.name == "user_id")
    assert told["play_ms"] == "how long it played [ms]"
