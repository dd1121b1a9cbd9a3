"""The published logs as they are. Set LT4REC_TEST_KUAIRAND to the folder that holds KuaiRand-Pure's data/."""

import csv
import gzip
import os
import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SourceError

SQL = Path(__file__).parents[2] / "sql"
SOURCE = load_source(SQL, "kuairand")
FILES = [
    read_sql_file(SQL / f"{name}.sql", fragments=SOURCE.catalogue.fragments())
    for name in (
        "sources/kuairand/impression_log",
        "sources/kuairand/users",
        "sources/kuairand/videos",
        "samples/screened_impressions",
        "samples/impressions",
        "samples/clicks",
        "samples/conversions",
        "features/user_daily_stats",
        "features/video_daily_stats",
        "features/user_features",
        "features/video_features",
        "training/samples",
        "views/samples/rejected_impressions",
    )
]
FIRST, N_DAYS = date(2022, 4, 25), 12
PARAMS = {
    "time_zone": SOURCE.time_zone,
    "conversion_threshold": 0.5,
    "prior_strength": 10,
    "history_length": 20,
}
LOG = (
    *("user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow", "is_comment"),
    *("is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms", "profile_stay_time"),
    *("comment_stay_time", "is_profile_enter", "is_rand", "tab"),
)
ROW = dict.fromkeys(LOG, "0") | {
    "user_id": "712",
    "video_id": "5239",
    "date": "20220425",
    "time_ms": "1650812741436",
    "is_click": "1",
    "play_time_ms": "61802",
    "duration_ms": "49866",
    "tab": "1",
}


def run(lake, path, day, files=FILES):
    for file in files:
        if not file.is_view:
            lake.publish(run_sql(lake, SOURCE, file, day, PARAMS, source_path=path))


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "home")
    lake.create(FILES)
    return lake


@pytest.fixture
def write(tmp_path):
    """Write a log file in the published layout; rows say only what differs from ROW."""

    def write(*rows, name="log_standard_4_22_to_5_08_pure.csv", columns=LOG):
        path = tmp_path / "kuairand" / "data"
        path.mkdir(parents=True, exist_ok=True)
        with (path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(ROW | row for row in rows)
        return path.parent

    return write


def log(lake, path, day=FIRST):
    lake.publish(run_sql(lake, SOURCE, FILES[0], day, PARAMS, source_path=path))
    return lake.open("source.impression_log", day, day).read_all().to_pylist()


def test_the_real_days_give_the_known_counts(lake):
    path = os.environ.get("LT4REC_TEST_KUAIRAND")
    if not path:
        pytest.skip("set LT4REC_TEST_KUAIRAND to a folder with KuaiRand-Pure's data/ to test on real logs")
    for n in range(N_DAYS):
        run(lake, path, FIRST + timedelta(days=n))

    con = connect(lake.home)

    def answer(text):
        return query(con, text).fetchall()

    assert answer("select count(*) from samples.screened_impressions") == [(198_895,)]
    assert answer("select count(*) from samples.impressions") == [(190_522,)]
    assert answer(
        "select reject_reason, count(*) from samples.rejected_impressions group by all order by 1"
    ) == [
        ("duplicate", 5_272),
        ("non_positive_duration", 3_101),
    ]
    clicks = "select count(*), round(avg(watch_ratio), 4), count(*) filter (where is_converted) from "
    assert answer(clicks + "samples.conversions") == [(86_275, 0.5963, 48_986)]
    assert answer(clicks + "training.samples where is_click") == [(86_275, 0.5963, 48_986)]
    assert answer("select count(*) from training.samples") == [(190_522,)]
    # Every user and video is known; rates are missing only for the new ones.
    assert answer("select count(*) from training.samples where f_user_id = 0 or f_author_id = 0") == [(0,)]
    assert answer("select count(*) from training.samples where (f_user_click_rate = 0) <> is_new_user") == [
        (0,)
    ]


def test_a_row_reads_as_the_layout_says(lake, write):
    (row,) = log(lake, write({"is_like": "1"}))

    assert row["dt"] == FIRST
    assert str(row["occurred_at"]) == "2022-04-24 15:05:41.436000"
    assert (row["user_id"], row["video_id"], row["page"], row["position"]) == ("712", "5239", "1", None)
    assert (row["is_click"], row["play_ms"], row["duration_ms"]) == (True, 61802, 49866)
    assert (row["is_like"], row["is_follow"], row["is_long_view"]) == (True, False, False)


def test_parts_and_other_days_are_read_and_random_logs_are_not(lake, write):
    write(
        {"user_id": "1"}, {"date": "20220426", "user_id": "2"}, name="log_standard_4_08_to_4_21_27k_part1.csv"
    )
    write({"user_id": "3"}, name="log_standard_4_08_to_4_21_27k_part2.csv")
    path = write({"user_id": "4"}, name="log_random_4_22_to_5_08_pure.csv")

    assert [r["user_id"] for r in log(lake, path)] == ["1", "3"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("time_ms", ["inf", "NaN", "-1", "99999999999999999", "1e300", "soon", ""]),
        ("play_time_ms", ["inf", "NaN", "1e300", "12 s", ""]),
        ("duration_ms", ["-inf", "nan", "9" * 30, ""]),
        ("is_click", ["2", "maybe", ""]),
        ("user_id", [""]),
    ],
)
def test_what_is_no_value_is_rejected_as_unreadable(lake, write, column, values):
    path = write(*({column: value} for value in values), {})
    run(
        lake,
        path,
        FIRST,
        [f for f in FILES if f.table in ("source.impression_log", "samples.screened_impressions")],
    )

    rows = lake.open("samples.screened_impressions", FIRST, FIRST).read_all()
    assert sorted(map(str, rows["reject_reason"].to_pylist())) == ["None"] + ["unreadable"] * len(values)


def test_ids_may_hold_anything(lake, write):
    hostile = ["it's", 'say "hi"', "a,b", "two\nlines", "\x1b[31m", "'; drop table x; --", "\x00", "é"]

    rows = log(lake, write(*({"user_id": text, "video_id": text} for text in hostile)))

    assert sorted(r["user_id"] for r in rows) == sorted(hostile)


@pytest.mark.parametrize(
    "value", ["", "soon", "20221301", "inf", "infinity", "-infinity", "epoch", "2022-04-25"]
)
def test_a_row_without_a_day_is_an_error_of_the_file(lake, write, value):
    path = write({}, {"date": value, "user_id": "lost"})

    with pytest.raises(
        SourceError, match=r"1 row\(s\) of source\.impression_log have a day that cannot be read.*'lost'"
    ):
        log(lake, path)

    assert lake.days("source.impression_log") == []
    assert list(lake.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "file", "columns"),
    [
        ("source.users", "user_features_pure.csv", FILES[1].inputs[0].columns),
        ("source.videos", "video_features_basic_pure.csv", FILES[2].inputs[0].columns),
    ],
)
def test_which_of_an_ids_rows_counts_does_not_depend_on_their_order(lake, tmp_path, table, file, columns):
    # An id for each column, with two rows that differ in that column only.
    pairs = [
        [{**dict.fromkeys(columns, "5"), columns[0]: column, column: value} for value in ("4", "6")]
        for column in columns[1:]
    ]
    (tmp_path / "kuairand" / "data").mkdir(parents=True)
    (statement,) = (f for f in FILES if f.table == table)
    found = []
    for turn in (1, -1):
        with (tmp_path / "kuairand" / "data" / file).open("w", newline="") as text:
            writer = csv.DictWriter(text, columns)
            writer.writeheader()
            writer.writerows(row for pair in pairs for row in pair[::turn])
        run(lake, tmp_path / "kuairand", FIRST, [statement])
        found.append(lake.open(table, FIRST, FIRST).read_all().to_pylist())

    assert len(found[0]) == len(pairs)
    assert found[0] == found[1]


def test_text_that_is_no_utf8_is_an_error_of_the_file(lake, write):
    path = write({}, {"user_id": "QQ"})
    file = path / "data" / "log_standard_4_22_to_5_08_pure.csv"
    file.write_bytes(file.read_bytes().replace(b"QQ", b"\xff\xfe"))

    with pytest.raises(SourceError, match=r"cannot read .*[Uu]nicode.* in row 3: "):
        log(lake, path)


def test_windows_line_ends_and_a_byte_order_mark_are_harmless(lake, write):
    path = write({}, {"video_id": "b"})
    file = path / "data" / "log_standard_4_22_to_5_08_pure.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

    assert [r["video_id"] for r in log(lake, path)] == ["5239", "b"]


def test_an_empty_day_is_answered_with_the_days_there_are(lake, write):
    path = write({"date": "20220426"}, {"date": "20220428"})

    with pytest.raises(
        SourceError, match=r"no impression on 2022-04-25: it has 2 day\(s\), 2022-04-26 to 2022-04-28"
    ):
        log(lake, path)

    assert list(lake.staging.iterdir()) == []


def test_a_log_without_rows_says_so(lake, write):
    with pytest.raises(SourceError, match="no impression on 2022-04-25: it has no row at all"):
        log(lake, write())


def test_a_missing_column_is_named(lake, write):
    path = write({}, columns=[c for c in LOG if c != "play_time_ms"])

    with pytest.raises(SourceError, match=r"lacks the column\(s\) play_time_ms; it has user_id, video_id"):
        log(lake, path)


@pytest.mark.parametrize("n_rows", [1, 50, 30_000])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-20], "Expected Number of Columns: 19 Found: 13 in row {last}: 712,"),
        (lambda text: text[:-2] + b",one too many\r\n", "Columns: 19 Found: 20 in row {last}: 712,"),
        (lambda text: text[:-2] + b"\n", "all its lines must end the same way"),
        (lambda text: text.replace(b"5239,", b'"5239,'), "quote"),
    ],
    ids=["cut short", "a cell too many", "another line end", "a quote that stays open"],
)
def test_a_row_that_is_none_is_an_error_of_its_file(lake, write, n_rows, change, message):
    write({}, name="log_standard_4_08_to_4_21_pure.csv")
    path = write(*[{}] * n_rows)
    file = path / "data" / "log_standard_4_22_to_5_08_pure.csv"
    file.write_bytes(change(file.read_bytes()))

    expected = r"cannot read .*log_standard_4_22_to_5_08_pure\.csv as csv: .*"
    with pytest.raises(SourceError, match=expected + message.format(last=n_rows + 1)):
        log(lake, path)

    assert list(lake.staging.iterdir()) == []


def test_a_compressed_file_cut_short_is_an_error_of_the_file(lake, write):
    rng = random.Random(0)
    path = write(*({"user_id": str(rng.random())} for _ in range(2000)))
    plain = path / "data" / "log_standard_4_22_to_5_08_pure.csv"
    packed = gzip.compress(plain.read_bytes())
    plain.unlink()
    (path / "data" / "log_standard_4_22_to_5_08_pure.csv.gz").write_bytes(packed[: len(packed) // 2])

    with pytest.raises(SourceError, match="complete"):
        log(lake, path)

    assert list(lake.staging.iterdir()) == []
