from datetime import date

import dagster as dg
import pytest

from lt4rec_assets.backfill import read_waivers
from lt4rec_assets.outcome import Outcome, closing_lines, name_of
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.errors import ConfigError, Lt4recError
from tests.assets.conftest import SMALL

FIRST = date(2026, 1, 5)
DAYS = [f"2026-01-0{d}" for d in range(5, 10)]


def ask(home, text):
    return query(connect(home.project.settings.home), text).fetchall()


def test_every_partition_of_every_asset_is_green(filled):
    outcome = filled.outcome

    assert outcome.ok, closing_lines(outcome)
    daily = 16 - 3  # all tables but the three of evaluation
    from_second_day = 3 + 1  # and the ranker
    expected = 5 * daily + 4 * from_second_day + 5 * 2 + 2 + 1  # two model chains, two tickets, one report
    assert len(outcome.green) == expected
    assert not outcome.waiting


def test_the_runs_are_recorded_in_the_dagster_instance(filled):
    with dg.DagsterInstance.get() as instance:
        days = instance.get_materialized_partitions(dg.AssetKey(["models", "snet"]))
        runs = instance.get_runs()

    assert sorted(days) == DAYS
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def test_every_day_after_the_first_is_predicted_once_per_model(filled):
    rows = ask(
        filled,
        "select p.dt, p.model, count(*) = (select count(*) from training.samples as s where s.dt = p.dt) "
        "from evaluation.predictions as p group by p.dt, p.model",
    )

    assert len(rows) == 4 * 2
    assert all(is_whole for _, _, is_whole in rows)


def test_metrics_carry_both_models_the_constant_and_the_oracle(filled):
    models = ask(filled, "select distinct model from evaluation.daily_metrics order by all")

    assert [m for (m,) in models] == ["baseline", "constant", "oracle", "snet"]


def test_headline_days_are_those_after_the_ticket_window(filled):
    days = ask(
        filled, "select distinct dt from evaluation.daily_metrics where is_after_ticket_window order by dt"
    )

    assert [str(d) for (d,) in days] == DAYS[2:]


def test_running_a_day_again_changes_no_row_and_no_model(filled):
    texts = ["from training.samples order by all", "from evaluation.daily_metrics order by all"]
    texts.append("select distinct dt, model, model_digest from evaluation.predictions order by all")
    before = [ask(filled, text) for text in texts]

    again = filled.backfill(date(2026, 1, 9), date(2026, 1, 9))

    assert again.ok
    assert [ask(filled, text) for text in texts] == before


def test_before_the_ticket_window_is_complete_the_data_is_green_and_the_models_wait(empty):
    home = empty()

    outcome = home.backfill(last=date(2026, 1, 5))

    assert outcome.ok
    green = {name_of(cell) for cell in outcome.green}
    assert "training/samples[2026-01-05]" in green
    assert not [name for name in green if name.startswith(("models", "tickets"))]
    assert {name_of(cell) for cell in outcome.waiting} >= {
        "models/snet[2026-01-05]",
        "models/baseline[2026-01-05]",
    }
    assert any("waits for the ticket window, until 2026-01-06" in line for line in closing_lines(outcome))


def test_a_gap_blocks_what_needs_it_and_says_what_is_missing(empty):
    home = empty()

    outcome = home.backfill(
        first=date(2026, 1, 6),
        last=date(2026, 1, 6),
        select="group:samples or group:features or group:source",
    )

    green, blocked = (
        {name_of(c) for c in outcome.green},
        {name_of(c): why for c, why in outcome.blocked.items()},
    )
    assert "samples/impressions[2026-01-06]" in green
    assert blocked["features/user_features[2026-01-06]"] == "features/user_daily_stats[2026-01-05]"
    assert not outcome.ok


def test_a_day_without_rows_fails_alone_and_stops_only_what_depends_on_it(empty):
    home = empty(LT4REC_END="2026-01-07")
    from lt4rec_core.data import raw

    generate = raw.generate

    def without_the_sixth(source, day):
        tables = generate(source, day)
        if day != date(2026, 1, 6):
            return tables
        return {name: table.slice(0, 0) for name, table in tables.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "generate", without_the_sixth)
        outcome = home.backfill(last=date(2026, 1, 7))

    failed = {name_of(cell): why for cell, why in outcome.failed.items()}
    assert list(failed) == ["source/impression_log[2026-01-06]"]
    assert "no impression on 2026-01-06" in failed["source/impression_log[2026-01-06]"]
    green = {name_of(cell) for cell in outcome.green}
    assert {"training/samples[2026-01-05]", "samples/conversions[2026-01-07]"} <= green
    blocked = {name_of(cell) for cell in outcome.blocked}
    assert {
        "samples/impressions[2026-01-06]",
        "features/user_features[2026-01-07]",
        "tickets/ticket[ctr]",
    } <= blocked
    assert not green & blocked

    again = home.backfill(last=date(2026, 1, 7))
    assert again.ok, closing_lines(again)


def test_days_of_the_ticket_window_run_one_by_one_are_caught_up_when_it_is_complete(empty):
    home = empty(LT4REC_END="2026-01-07")

    alone = [home.backfill(first=day, last=day) for day in (date(2026, 1, d) for d in (5, 6, 7))]

    assert all(outcome.ok for outcome in alone), [closing_lines(outcome) for outcome in alone]
    assert not alone[2].waiting
    green = {name_of(cell) for cell in alone[1].green}
    assert {
        "models/snet[2026-01-05]",
        "models/snet[2026-01-06]",
        "evaluation/predictions[2026-01-06]",
    } <= green


def test_after_a_change_of_the_network_new_tickets_are_found_and_the_chain_starts_anew(empty):
    home = empty(LT4REC_END="2026-01-07")
    assert home.backfill(last=date(2026, 1, 7)).ok
    toml = home.project.settings.home / "lt4rec.toml"
    changed = toml.read_text().replace("[16, 8]", "[12, 8]")

    wider = empty(toml=changed, LT4REC_END="2026-01-07").backfill(last=date(2026, 1, 7))

    assert wider.ok, closing_lines(wider)
    assert "tickets/ticket[ctr]" in {name_of(cell) for cell in wider.green}


def test_found_tickets_are_not_searched_again_unless_they_are_asked_for(filled):
    last = date(2026, 1, 9)

    usual = filled.backfill(last, last)
    asked = filled.backfill(last, last, select="key:tickets/ticket")

    assert "tickets/ticket[ctr]" not in {name_of(cell) for cell in usual.green}
    assert {name_of(cell) for cell in asked.green} == {"tickets/ticket[ctr]", "tickets/ticket[cvr]"}


def test_a_damaged_ticket_is_healed_by_materialising_it_again(empty):
    home = empty(LT4REC_END="2026-01-06")
    assert home.backfill(last=date(2026, 1, 6)).ok
    (damaged,) = home.project.settings.home.glob("models/ticket/*/ctr/*.safetensors")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])

    outcome = home.backfill(date(2026, 1, 6), date(2026, 1, 6), select="key:tickets/ticket")

    assert outcome.ok, closing_lines(outcome)
    (healed,) = home.project.settings.home.glob("models/ticket/*/ctr/*.safetensors")
    assert healed.read_bytes() == whole


def test_an_interrupt_ends_the_backfill_and_not_just_a_step(empty, monkeypatch):
    from lt4rec_core.data import raw

    def interrupted(source, day):
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(raw, "generate", interrupted)

    with pytest.raises(KeyboardInterrupt):
        empty().backfill()


@pytest.mark.parametrize(
    ("first", "last", "select", "message"),
    [
        (date(2025, 1, 1), date(2026, 1, 6), "*", "--from 2025-01-01 is not a day of this home"),
        (date(2026, 1, 6), date(2026, 2, 1), "*", "--to 2026-02-01 is not a day of this home"),
        (date(2026, 1, 7), date(2026, 1, 6), "*", "lies before --from"),
        (date(2026, 1, 6), date(2026, 1, 6), "group:nothing", "matches no asset"),
        (date(2026, 1, 6), date(2026, 1, 6), "((", "selects nothing"),
    ],
)
def test_an_impossible_range_or_selection_is_named(empty, first, last, select, message):
    with pytest.raises(ConfigError, match=message):
        empty().backfill(first, last, select)


def test_the_closing_lines_count_last():
    cell = (dg.AssetKey(["samples", "clicks"]), "2026-01-05")

    lines = closing_lines(Outcome(green=[cell], failed={(dg.AssetKey(["a"]), "2026-01-06"): "why"}))

    assert lines == ["FAILED   a[2026-01-06]: why", "1 green, 1 failed, 0 blocked, 0 waiting"]


WAIVER = "samples.impressions.volume=the app was down until noon"


def test_a_waiver_on_the_command_line_is_for_one_day_and_a_check_there_is():
    day = date(2026, 1, 6)

    (read,) = read_waivers([WAIVER], day, day)

    assert (read.table, read.check, read.day) == ("samples.impressions", "volume", day)
    assert read.reason == "the app was down until noon"
    for text, last, error in (
        (WAIVER, date(2026, 1, 7), "names several"),
        ("samples.impressions.volume", day, "does not read table.check=reason"),
        ("samples.clicks.volume=why", day, "does not read table.check=reason"),
        ("samples.impressions.nothing=why", day, "which samples.impressions does not have"),
        ("samples.impressions.volume=", day, "gives no reason"),
    ):
        with pytest.raises(Lt4recError, match=error):
            read_waivers([text], day, last)


def test_a_waived_day_is_green_in_a_backfill(empty):
    home = empty(SMALL + "[quality]\nmin_rows = 10000\n", LT4REC_END="2026-01-06")
    waivers = read_waivers([WAIVER], FIRST, FIRST)

    outcome = home.backfill(FIRST, FIRST, select="group:source or group:samples", waivers=waivers)

    assert outcome.ok
    assert ("samples/impressions", "2026-01-05") in {(k.to_user_string(), p) for k, p in outcome.green}
