"""The page of a home: what stands on it, what is named as missing, and that it is made the same again."""

from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser

import dagster as dg
import pytest

from lt4rec_assets.cli import main
from lt4rec_assets.project import Project
from lt4rec_assets.report import write_report
from lt4rec_core.errors import ConfigError, LakeError

NOW = datetime(2026, 1, 10, 4, 0)


class Reader(HTMLParser):
    """What one reads on a page, by section."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.charts, self._in, self._skip = {}, [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._skip = tag in ("script", "style")
        if tag == "section":
            self._in = attrs["id"]
        if tag == "figure":
            self.charts.append(attrs["id"])

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        if not self._skip:
            self.sections[self._in] = " ".join([self.sections.get(self._in, ""), *data.split()])


def page_of(home, tmp_path, **days):
    written = write_report(home.project, tmp_path / "page.html", now=NOW, **days)
    return written, written.path.read_text()


@pytest.fixture(scope="module")
def whole(filled, tmp_path_factory):
    """The page of five days, all of them run."""
    return page_of(filled, tmp_path_factory.mktemp("page"))


def test_the_page_of_a_filled_home_shows_every_part_that_was_made(filled, whole):
    written, text = whole
    page = Reader(text)

    assert (written.first, written.last) == (date(2026, 1, 5), date(2026, 1, 9))
    assert [c for c in page.charts if c.startswith("chart-days")] == [
        "chart-days-ctr-auc",
        "chart-days-cvr-mse",
    ]
    for chart in ("chart-funnel", "chart-calibration-ctr", "chart-sharing-home", "chart-pruning-cvr-home"):
        assert chart in page.charts
    (counted,) = filled.ask("select count(*), count(distinct user_id) from samples.impressions")
    assert f"{counted[1]:,}" in page.sections["funnel"]
    assert f"{counted[0]:,}" in page.sections["funnel"]
    assert written.n_bytes == len(text.encode()) < 2_000_000


def test_what_no_race_and_no_simulation_has_made_is_named_with_the_command(whole):
    written, text = whole
    page = Reader(text)

    missing = {gap.asset for _, gap in written.gaps}
    assert {"experiments/offline_comparison", "experiments/label_scarcity"} <= missing
    assert not {asset for asset in missing if not asset.startswith("experiments/")}
    assert "lt4rec race" in page.sections["race"]
    assert "experiments/offline_comparison" in page.sections["missing"]


def test_the_page_tells_the_settings_and_digests_that_made_it(filled, whole):
    page = Reader(whole[1])
    mask = filled.latest("tickets/ticket", "ctr")["mask_digest"].value

    assert mask[:16] in page.sections["origin"]
    assert filled.project.source.catalogue.digest[:16] in page.sections["origin"]
    assert "embedding dim 4" in page.sections["origin"]
    assert "batch size 128" in page.sections["origin"]


def test_the_same_home_and_days_give_the_same_bytes_but_for_the_time(filled, whole, tmp_path):
    again, text = page_of(filled, tmp_path)
    later = write_report(filled.project, tmp_path / "later.html", now=datetime(2026, 3, 1))

    assert text == whole[1]
    assert again.digest == later.digest == whole[0].digest
    assert later.path.read_text() != text


def test_a_range_shows_its_own_days_only(filled, whole, tmp_path):
    written, text = page_of(filled, tmp_path, last=date(2026, 1, 8), days=2)
    (n,) = filled.ask(
        "select count(*) from samples.impressions where dt between '2026-01-07' and '2026-01-08'"
    )[0]

    assert (written.first, written.last) == (date(2026, 1, 7), date(2026, 1, 8))
    assert f"{n:,}" in Reader(text).sections["funnel"]
    assert written.digest != whole[0].digest


def test_days_of_which_nothing_was_made_are_a_page_of_named_gaps(filled, tmp_path):
    written, text = page_of(filled, tmp_path, first=date(2027, 1, 1), last=date(2027, 1, 2))

    assert "samples/screened_impressions" in {gap.asset for _, gap in written.gaps}
    assert "serving/ranker" in {gap.asset for _, gap in written.gaps}
    assert "it has no row from 2027-01-01 to 2027-01-02" in text


def test_a_range_that_ends_before_it_begins_and_a_home_without_a_lake_are_refused(filled, empty, tmp_path):
    with pytest.raises(ConfigError, match="lies before --from"):
        page_of(filled, tmp_path, first=date(2026, 1, 8), last=date(2026, 1, 7))
    with pytest.raises(LakeError, match="holds no tables yet"):
        page_of(empty(), tmp_path)


def test_settings_that_hold_html_stay_text(filled, tmp_path):
    settings = replace(filled.project.settings, experiments={"frozen_from": "<img src=x onerror=alert(1)>"})

    text = write_report(Project.of(settings), tmp_path / "page.html", now=NOW).path.read_text()

    assert "&lt;img src=x" in text
    assert "<img src=x" not in text


def test_the_command_says_where_the_page_is_and_what_is_missing(filled, tmp_path, monkeypatch, capsys):
    env = {"LT4REC_HOME": str(filled.project.settings.home), "LT4REC_END": "2026-01-09"}
    for name, value in {**env, "LT4REC_START": "2026-01-05", "LT4REC_TICKET_DAYS": "2"}.items():
        monkeypatch.setenv(name, value)

    assert main(["report", "--out", str(tmp_path / "sub" / "page.html"), "--from", "2026-01-08"]) == 0

    said = capsys.readouterr().out
    assert "2026-01-08 to 2026-01-09" in said
    assert "missing from Table 2: the race: experiments/offline_comparison" in said
    assert (tmp_path / "sub" / "page.html").stat().st_size > 500_000


def test_the_asset_writes_the_page_into_the_home_and_tells_where(filled):
    job = filled.definitions.resolve_job_def("report_page")
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"report__page": {"config": {"days": 3}}}}
        result = job.execute_in_process(instance=instance, run_config=config)
        metadata = result.get_asset_materialization_events()[0].materialization.metadata

    path = filled.project.settings.home / "reports" / "report.html"
    assert metadata["page"].value == str(path)
    assert metadata["link"].value == path.as_uri()
    assert metadata["first_day"].value == "2026-01-07"
    assert "experiments/offline_comparison" in metadata["not_materialised"].value
    assert path.stat().st_size == metadata["bytes"].value


def test_no_range_of_days_makes_the_page_by_the_way(filled):
    assert "report/page" not in {key.to_user_string() for key, _ in filled.outcome.green}
    with pytest.raises(ConfigError, match="lt4rec report"):
        filled.backfill(select="report/page")
