"""Logs as they should not be: each is told what is wrong, or its rows are rejected with their reasons.

KuaiRand's layout, as files that a broken export, an editor or somebody with a grudge could leave there.
"""

import gzip
import os
import zlib
from datetime import date
from pathlib import Path

import pytest

from lt4rec_core.data import lake as lake_module
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SourceChangedError, SourceError

SQL = Path(__file__).parents[2] / "sql"
SOURCE = load_source(SQL, "kuairand")
LOG, SCREENED = (
    read_sql_file(SQL / f"{name}.sql", fragments=SOURCE.catalogue.fragments())
    for name in ("sources/kuairand/impression_log", "samples/screened_impressions")
)
DAY = date(2022, 4, 25)
NAME = "log_standard_4_22_to_5_08_pure.csv"
GOOD = {
    "user_id": "712", "video_id": "5239", "date": "20220425", "time_ms": "1650812741436", "is_click": "1",
    "is_like": "0", "is_follow": "0", "is_comment": "0", "is_forward": "0", "long_view": "1",
    "play_time_ms": "61802", "duration_ms": "49866", "tab": "1",
}  # fmt: skip


def text(*rows: dict[str, str], columns=tuple(GOOD), delimiter=",", end="\n", header=None) -> bytes:
    """A file; each row says only what differs from GOOD."""
    lines = [delimiter.join(header or columns)]
    lines += [delimiter.join({**GOOD, **row}[c] for c in columns) for row in rows]
    return (end.join(lines) + end).encode()


def cut_at_a_row_end(data: bytes) -> bytes:
    """A gzip stream of which the last row and the checksum never arrived: what is there is whole rows."""
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


def wrong_checksum(data: bytes) -> bytes:
    whole = bytearray(gzip.compress(data))
    whole[-8] ^= 1
    return bytes(whole)


TWO = text({}, {"user_id": "713"})
OK = {None: 2}
"""Reject reason -> rows; None: accepted."""


def odd(reason: str | None, **values: str) -> tuple[bytes, dict[str | None, int]]:
    """One good row and one that is odd."""
    return text({}, {"user_id": "713", **values}), {None: 2} if reason is None else {None: 1, reason: 1}


# Name: (the file's bytes, what becomes of its rows, or what the error says).
HOSTILE: dict[str, tuple[bytes, dict[str | None, int] | str]] = {
    # the file
    "empty": (b"", "is empty, where its header should be"),
    "only a header": (text(), "no impression on 2022-04-25: it has no row at all"),
    "no header": (TWO.partition(b"\n")[2], "names columns twice: 1, 0"),
    "another delimiter": (text({}, {}, delimiter=";"), r"lacks the column\(s\) .*it has user_id;video_id"),
    "tabs": (text({}, {}, delimiter="\t"), r"lacks the column\(s\).*user_id\\tvideo_id"),
    "a column missing": (text({}, columns=tuple(GOOD)[1:]), r"lacks the column\(s\) user_id"),
    "a column twice": (
        text({}, columns=("user_id", *GOOD)),
        "names columns twice: user_id, user_id. Which one is meant",
    ),
    "a column twice by case": (
        text({}, columns=("user_id", *GOOD), header=("USER_ID", *GOOD)),
        "names columns twice: USER_ID, user_id",
    ),
    "the header in capitals": (
        text({}, {}, header=[c.upper() for c in GOOD]),
        r"lacks the column\(s\) user_id, .*it has USER_ID",
    ),
    "UTF-16": (TWO.decode().encode("utf-16"), "is no UTF-8 text"),
    "a ZIP archive": (b"PK\x03\x04\x00\x00,\n", "is no UTF-8 text: PK"),
    "HTML of an error page": (b"<html><body>502 Bad Gateway</body></html>\n", r"lacks the column\(s\)"),
    "a byte order mark": (b"\xef\xbb\xbf" + TWO, OK),
    "Windows line ends": (text({}, {"user_id": "713"}, end="\r\n"), OK),
    "old Macintosh line ends": (text({}, {"user_id": "713"}, end="\r"), OK),
    "mixed line ends": (TWO[:-1] + b"\r\n" + b"\n".join(TWO.split(b"\n")[1:2]) + b"\n", "end the same way"),
    "no line end at the end": (TWO[:-1], OK),
    "cut within a row": (TWO[:-20], "Expected Number of Columns: 13 Found: .* in row 3"),
    "a cell too many": (TWO[:-1] + b",1\n", "Expected Number of Columns: 13 Found: 14 in row 3"),
    "an open quote": (TWO.replace(b"713", b'"713'), "unterminated quote"),
    "invalid UTF-8": (TWO.replace(b"713", b"71\xff"), "[Uu]nicode.* in row 3"),
    # a row
    "a very long id": odd(None, user_id="x" * 1_000_000),
    "a NUL byte in an id": odd(None, user_id="7\x0013"),
    "markup in an id": odd(None, video_id="<script>alert(1)</script>"),
    "a statement in an id": odd(None, video_id="'; drop table x; --"),
    "the same row twice": (text({}, {}, {}), {None: 1, "duplicate": 2}),
    "no user": odd("unreadable", user_id=""),
    "a click that is none": odd("unreadable", is_click="maybe"),
    "thousands separators": odd("unreadable", play_time_ms='"61,802"'),
    "a decimal comma": odd("unreadable", play_time_ms='"61,8"'),
    "a number with a unit": odd("unreadable", duration_ms="49866 ms"),
    "NaN": odd("unreadable", play_time_ms="NaN"),
    "infinity": odd("unreadable", duration_ms="inf"),
    "minus infinity": odd("unreadable", play_time_ms="-Infinity"),
    "a number beyond any": odd("unreadable", play_time_ms="9" * 40),
    "the largest number": odd(None, play_time_ms=str(2**63 - 1)),
    "negative play": odd("negative_play", play_time_ms="-1"),
    "the smallest number": odd("negative_play", play_time_ms=str(-(2**63))),
    "no duration": odd("non_positive_duration", duration_ms="0"),
    "negative duration": odd("non_positive_duration", duration_ms="-5"),
    "a time of another year": odd("wrong_day", time_ms="0"),
    "the last time there is": odd("wrong_day", time_ms="253402300799999"),
    "a time beyond all": odd("unreadable", time_ms="253402300800000"),
    "a time that is none": odd("unreadable", time_ms="yesterday"),
    "a day that is none": (text({}, {"date": "20220431"}), "have a day that cannot be read"),
    "a day in words": (text({}, {"date": "infinity"}), "have a day that cannot be read"),
    "another day": (text({"date": "20991231"}), r"has 1 day\(s\), 2099-12-31 to 2099-12-31"),
}
PACKED: dict[str, tuple[bytes, dict[str | None, int] | str]] = {
    "whole": (gzip.compress(TWO), OK),
    "of two parts": (gzip.compress(TWO) + gzip.compress(TWO.partition(b"\n")[2]), {None: 2, "duplicate": 2}),
    "no gzip": (TWO, "Not a gzipped file"),
    "empty": (b"", "where its header should be"),
    "cut short": (gzip.compress(TWO)[:-20], "ended before the end-of-stream marker"),
    "cut at the end of a row": (cut_at_a_row_end(TWO), "ended before the end-of-stream marker"),
    "without its checksum": (gzip.compress(TWO)[:-8], "ended before the end-of-stream marker"),
    "damaged": (wrong_checksum(TWO), "CRC check failed"),
    "followed by something": (gzip.compress(TWO) + b"more", "Not a gzipped file"),
}


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "home")
    lake.create([LOG, SCREENED])
    return lake


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    (folder / "data").mkdir(parents=True)
    return folder


def run(lake, logs):
    """Read the day, and say how many rows have which reject reason."""
    for table in (LOG, SCREENED):
        params = {"time_zone": SOURCE.time_zone}
        lake.publish(run_sql(lake, SOURCE, table, DAY, params, source_path=logs, threads=1))
    reasons = lake.open(SCREENED.table, DAY, DAY).read_all()["reject_reason"].to_pylist()
    return {reason: reasons.count(reason) for reason in set(reasons)}


def told(lake, logs, expected):
    if not isinstance(expected, str):
        assert run(lake, logs) == expected
        return
    with pytest.raises(SourceError, match=expected) as caught:
        run(lake, logs)
    said = str(caught.value)
    assert said.isprintable(), "a file must not write to the terminal"
    assert len(said) < 2_000
    assert lake.days(LOG.table) == []
    assert list(lake.staging.iterdir()) == []


@pytest.mark.parametrize(("data", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_log_is_told_or_its_rows_are_rejected(lake, logs, data, expected):
    (logs / "data" / NAME).write_bytes(data)

    told(lake, logs, expected)


@pytest.mark.parametrize(("data", "expected"), PACKED.values(), ids=PACKED.keys())
def test_a_packed_log_is_read_to_its_checksum(lake, logs, data, expected):
    (logs / "data" / f"{NAME}.gz").write_bytes(data)

    told(lake, logs, expected)


def test_a_folder_in_place_of_a_log_is_no_log(lake, logs):
    (logs / "data" / NAME).mkdir()

    told(lake, logs, r"no file for raw\.log")


def test_a_link_cannot_reach_outside_the_sources_folder(lake, logs, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_bytes(TWO)
    (logs / "data" / NAME).symlink_to(outside)

    told(lake, logs, r"is a link that leaves the source path, to .*outside\.csv")


def test_a_folder_that_is_a_link_cannot_reach_outside_either(lake, logs, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / NAME).write_bytes(TWO)
    (logs / "data").rmdir()
    (logs / "data").symlink_to(tmp_path / "elsewhere")

    told(lake, logs, "is a link that leaves the source path")


def test_links_within_the_folder_and_to_the_folder_itself_are_fine(lake, logs, tmp_path):
    (logs / "archive.csv").write_bytes(TWO)
    (logs / "data" / NAME).symlink_to(logs / "archive.csv")
    (tmp_path / "link").symlink_to(logs)

    assert run(lake, tmp_path / "link") == OK


def replaced(path):
    draft = path.with_suffix(".part")
    draft.write_bytes(text({"user_id": "999"}))
    draft.replace(path)


def rewritten(path):
    path.write_bytes(text({"user_id": "999"}))


def grown(path):
    with path.open("ab") as file:
        file.write(TWO.partition(b"\n")[2])


def cut(path):
    os.truncate(path, path.stat().st_size - 5)


@pytest.mark.parametrize("change", [replaced, rewritten, grown, cut, Path.unlink])
@pytest.mark.parametrize("when", ["before its rows are read", "after some of them"])
def test_a_log_that_changes_while_it_is_read_is_not_published(lake, logs, monkeypatch, change, when):
    path, real, times = logs / "data" / NAME, lake_module.write_parquet, []
    path.write_bytes(text(*({"user_id": str(i)} for i in range(100))))

    def writing(target, reader, schema):
        if when == "before its rows are read":
            times.append(change(path))
            return real(target, reader, schema)
        n = real(target, reader, schema)
        times.append(change(path))
        return n

    with monkeypatch.context() as patch:
        patch.setattr(lake_module, "write_parquet", writing)
        with pytest.raises(SourceChangedError, match=rf"{NAME} changed while it was read.*run the day again"):
            run(lake, logs)

    assert len(times) == 1
    assert lake.days(LOG.table) == []
    assert list(lake.staging.iterdir()) == []
    path.write_bytes(TWO)
    assert run(lake, logs) == OK
