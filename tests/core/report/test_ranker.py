from lt4rec_core.report.blocks import Facts, Gap, Table
from lt4rec_core.report.ranker import ranker


def manifest(day, p50=1.0):
    return {
        "digest": "d" * 64,
        "identity": {"day": day},
        "bytes": {"trunk": 1_000_000, "embeddings": 500_000},
        "latency_ms": {"64": {"p50": p50, "p99": 2 * p50, "n": 9}},
        "promotion": {"promoted": True, "reason": "all 6 rules hold"},
    }


def test_the_newest_ranker_is_told_with_its_size_and_its_latency():
    section = ranker([manifest("2026-01-06"), manifest("2026-01-07", 1.5)], "2026-01-06")

    facts = dict(next(block for block in section.blocks if isinstance(block, Facts)).rows)
    assert facts["Newest"] == "2026-01-07"
    assert facts["In use"] == "of 2026-01-06"
    assert facts["Its size"] == "1.5\u202fMB"
    assert facts["A pass over 64"] == "1.50 ms, p99 3.00 ms"
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row["day"] for row in table.rows] == ["2026-01-07", "2026-01-06"]


def test_a_ranker_that_a_later_day_withdrew_is_told_as_such():
    first, second = manifest("2026-01-06"), manifest("2026-01-07")
    first["digest"] = "f" * 64
    second["withdrawn"] = [{"day": "2026-01-06", "digest": "f" * 64, "reason": "a floor"}]

    table = next(block for block in ranker([first, second], "2026-01-07").blocks if isinstance(block, Table))

    assert [row["use"] for row in table.rows] == ["promoted", "withdrawn"]


def test_one_day_makes_no_line():
    assert ranker([manifest("2026-01-06")], None).charts == []
    assert len(ranker([manifest("2026-01-06"), manifest("2026-01-07")], None).charts) == 1


def test_days_without_a_ranker_and_one_that_cannot_be_read_are_named():
    assert [gap.asset for gap in ranker([], None).gaps] == ["serving/ranker"]
    damaged = Gap("serving/ranker", "2026-01-06: damaged", "again")
    assert ranker([], None, [damaged]).gaps == [damaged]
