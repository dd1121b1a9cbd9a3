import csv
import io
import json
from datetime import date

import pyarrow.parquet as pq
import pytest

from lt4rec_assets.cli import main
from tests.assets.conftest import SMALL
from tests.assets.receiver import receiver


@pytest.fixture
def in_home(monkeypatch):
    def use(home):
        for name, value in {
            "LT4REC_HOME": str(home),
            "LT4REC_SOURCE": "simulator",
            "LT4REC_START": "2026-01-05",
            "LT4REC_END": "2026-01-09",
            "LT4REC_TICKET_DAYS": "2",
        }.items():
            monkeypatch.setenv(name, value)

    return use


def test_sql_prints_a_table(filled, in_home, capsys):
    in_home(filled.project.settings.home)

    assert main(["sql", "select count(distinct dt) as days from training.samples"]) == 0
    assert "days" in capsys.readouterr().out


def test_sql_prints_csv_and_json(filled, in_home, capsys):
    in_home(filled.project.settings.home)
    query = "select min(dt)::varchar as first_day, 1 as one from training.samples"

    main(["sql", query, "--format", "csv"])
    assert capsys.readouterr().out == "first_day,one\n2026-01-05,1\n"
    main(["sql", query, "--format", "json"])
    assert json.loads(capsys.readouterr().out) == {"first_day": "2026-01-05", "one": 1}


def test_the_query_may_stand_in_a_file_or_come_from_standard_input(
    filled, in_home, tmp_path, monkeypatch, capsys
):
    in_home(filled.project.settings.home)
    path = tmp_path / "question.sql"
    path.write_text("-- How many?\nselect count(distinct dt) as days\nfrom training.samples;\n")

    assert main(["sql", "--file", str(path), "--format", "csv"]) == 0
    assert capsys.readouterr().out == "days\n5\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(path.read_text()))
    assert main(["sql", "-", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "days\n5\n"
    assert main(["sql", "--file", str(tmp_path / "nothing.sql")]) == 2
    assert "cannot read the query from" in capsys.readouterr().err


def test_a_file_is_written_in_the_format_that_its_name_says(filled, in_home, tmp_path, capsys):
    in_home(filled.project.settings.home)
    query = "select dt, n_impressions from samples.funnel_over_time order by dt"

    for name in ("a.parquet", "a.csv", "a.jsonl", "a.txt"):
        assert main(["sql", query, "--out", str(tmp_path / name)]) == 0
    assert capsys.readouterr().out == ""

    assert pq.read_table(tmp_path / "a.parquet")["dt"].to_pylist()[0] == date(2026, 1, 5)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "dt,n_impressions"
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 5
    assert "n_impressions" in (tmp_path / "a.txt").read_text()


def test_parquet_goes_into_a_pipe_and_not_onto_a_terminal(filled, in_home, monkeypatch, capsysbinary):
    in_home(filled.project.settings.home)

    assert main(["sql", "select 1 as one", "--format", "parquet"]) == 0
    assert pq.read_table(io.BytesIO(capsysbinary.readouterr().out)).to_pylist() == [{"one": 1}]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["sql", "select 1 as one", "--format", "parquet"]) == 2
    assert b"a terminal cannot show Parquet" in capsysbinary.readouterr().err


def test_an_answer_is_not_written_into_the_lake(filled, in_home, capsys):
    home = filled.project.settings.home
    in_home(home)
    before = sorted(home.rglob("*"))

    assert main(["sql", "select 1 as one", "--out", str(home / "lake" / "samples" / "x.csv")]) == 2
    assert "lies in the lake" in capsys.readouterr().err
    assert sorted(home.rglob("*")) == before


def test_what_is_not_there_is_answered_with_what_is(filled, in_home, capsys):
    in_home(filled.project.settings.home)

    assert main(["sql", "from evaluation.daily_metric"]) == 2
    error = capsys.readouterr().err
    assert "no table or view evaluation.daily_metric. Did you mean evaluation.daily_metrics" in error
    assert "samples.rejected_by_reason" in error
    assert main(["sql", "select nothing from samples.clicks"]) == 2
    assert "'lt4rec sql --describe samples.clicks' lists its columns" in capsys.readouterr().err


def test_an_answer_without_a_row_says_which_asset_to_materialise(filled, in_home, capsys):
    in_home(filled.project.settings.home)

    assert main(["sql", "from experiments.variant_comparison", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("dt,variant")
    assert said.err == (
        "lt4rec: no row, since experiments.offline_comparison has none. "
        "Materialise experiments/offline_comparison: lt4rec race, or the UI.\n"
    )
    assert main(["sql", "from samples.clicks where user_id = 'nobody'"]) == 0
    assert capsys.readouterr().err == ""


def test_tables_and_views_are_described_with_types_and_units(filled, in_home, capsys):
    in_home(filled.project.settings.home)

    assert main(["sql", "--describe"]) == 0
    every = capsys.readouterr().out
    assert all(file.table in every for file in filled.project.lake_tables)
    assert main(["sql", "--describe", "samples.clicks"]) == 0
    assert "play_ms      bigint     ms    how long it played" in capsys.readouterr().out
    assert main(["sql", "--describe", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == sum(len(file.columns) for file in filled.project.lake_tables)
    assert all(row["description"] for row in rows)
    assert main(["sql", "--describe", "click"]) == 2
    assert "Did you mean samples.clicks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sql", "drop view training.samples"], "QueryError: only one SELECT"),
        (["sql", "select nothing from nowhere"], "QueryError"),
        (["backfill", "--from", "2020-01-01", "--to", "2026-01-05"], "ConfigError: --from 2020-01-01"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_and_status_2(filled, in_home, capsys, arguments, message):
    in_home(filled.project.settings.home)

    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert error.startswith("lt4rec: ")
    assert message in error
    assert "Traceback" not in error


def test_a_home_without_a_lake_is_named(tmp_path, in_home, capsys):
    in_home(tmp_path / "nothing")

    assert main(["sql", "select 1"]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_day_that_is_none_is_refused_by_the_parser(capsys):
    with pytest.raises(SystemExit):
        main(["backfill", "--from", "yesterday", "--to", "2026-01-05"])
    assert "'yesterday' is not a day" in capsys.readouterr().err


def test_a_day_is_shown_as_it_was_at_a_version_or_a_time(filled, in_home, capsys):
    in_home(filled.project.settings.home)
    count = "select count(*) as n from samples.clicks"

    assert main(["versions", "samples.clicks", "--day", "2026-01-06"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["version", "at", "(UTC)", "day", "rows"]
    assert {line.split()[2] for line in lines} == {"2026-01-06"}
    assert main(["sql", count, "--version", "samples.clicks=0", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "n\n0\n"
    assert main(["sql", count, "--as-of", "2020-01-01T00:00+08:00", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "n\n0\n"


def test_one_of_query_file_and_describe_is_asked_for(capsys):
    for wrong in ([], ["select 1", "--file", "x.sql"], ["--file", "x.sql", "--describe"]):
        with pytest.raises(SystemExit):
            main(["sql", *wrong])
        assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--as-of", "noon"], ["--version", "samples.clicks"], ["--version", "a=b"]]
)
def test_a_time_or_version_that_is_none_is_refused_by_the_parser(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["sql", "select 1", *wrong])
    assert "write it as" in capsys.readouterr().err


def test_why_a_day_is_red_is_asked_in_sql(filled, in_home, capsys):
    in_home(filled.project.settings.home)
    query = "select count(*) as n from quality.latest_checks where is_blocking"

    assert main(["sql", query, "--format", "csv"]) == 0
    assert capsys.readouterr().out == "n\n0\n"


def test_a_backfill_that_fails_tells_the_webhook(empty, in_home, monkeypatch, capsys):
    home = empty(SMALL + "[quality]\nmin_rows = 10000\n")
    in_home(home.project.settings.home)
    failing = [
        "backfill",
        "--from",
        "2026-01-05",
        "--to",
        "2026-01-05",
        "--select",
        "group:source or group:samples",
    ]
    with receiver() as (url, posted):
        monkeypatch.setenv("LT4REC_WEBHOOK_URL", url)
        assert main(failing) == 1

    ((_, message),) = posted
    assert message["text"].startswith(
        "lt4rec: backfill of 2026-01-05 to 2026-01-05 failed\nFAILED   samples/impr"
    )
    assert "s3cret" not in capsys.readouterr().out
    assert main(failing) == 1  # nobody is there any more, and the exit status stays
    said = capsys.readouterr()
    assert "WebhookError: the webhook cannot be reached" in said.err
    assert "s3cret" not in said.out + said.err
    files = [path for path in home.project.settings.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files), "Dagster's events lie in the home"
    told = [str(path) for path in files if b"s3cret" in path.read_bytes()]
    assert told == [], "no event, metadata, log or page repeats the address"


def test_the_ui_listens_to_this_machine_alone(empty, in_home, monkeypatch):
    in_home(empty().project.settings.home)
    started = []
    monkeypatch.setattr("os.execv", lambda path, arguments: started.append((path, arguments)))

    with pytest.raises(TypeError):  # execv never returns
        main(["ui", "--port", "3456"])

    ((path, arguments),) = started
    assert (path.name, arguments[1]) == ("dagster", "dev")
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--port") + 1] == "3456"


def test_a_source_is_checked_before_there_is_a_home_or_a_first_day(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LT4REC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LT4REC_SOURCE", "custom")
    monkeypatch.setenv("LT4REC_SOURCE_PATH", str(tmp_path / "logs"))
    monkeypatch.delenv("LT4REC_START", raising=False)

    assert main(["check-source", "--rows", "1000"]) == 1
    assert capsys.readouterr().out.endswith("NOT READY: 3 problem(s), see above. Nothing was written.\n")

    (tmp_path / "logs" / "impressions").mkdir(parents=True)
    (tmp_path / "logs" / "impressions" / "a.csv").write_text(
        "dt,occurred_at,user_id,video_id,is_click,play_ms,duration_ms\n"
        "2026-03-02,2026-03-02 12:00:00,ann,v1,true,5000,10000\n"
        "2026-03-02,2026-03-02 12:01:00,ann,v2,false,0,10000\n"
    )
    assert main(["check-source", "--day", "2026-03-02"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("READY")
    monkeypatch.setenv("LT4REC_START", "2026-03-01")
    assert main(["check-source"]) == 1
    assert "LT4REC_START is 2026-03-01, and the log has no row of it" in capsys.readouterr().out
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("wrong", ["0", "-5", "many"])
def test_a_number_of_rows_that_is_none_is_refused_by_the_parser(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["check-source", "--rows", wrong])
    assert "write it as 100000" in capsys.readouterr().err
