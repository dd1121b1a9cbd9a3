from lt4rec_core.data.source_check import lines_of
from tests.core.data.source_check.conftest import ROWS


def test_the_page_says_what_there_is_and_ends_with_the_verdict(check):
    lines = list(lines_of(check([*ROWS, {"duration_ms": "0"}])))
    text = "\n".join(lines)

    assert lines[0].startswith("source custom (")
    assert "source.impression_log: 6 rows" in text
    assert "click rate: 66.67%, 4 clicks" in text
    assert "mean 0.667, capped at 1; 33.33% above 1 before, 25.00% without one" in text
    assert "screening: 5 accepted, 1 rejected (16.67%)" in text
    assert "non_positive_duration: 1 (16.67%), as in" in text
    assert (
        "source.users: 2 listed; of 2 users in the log, 0 are not listed, in 0.00% of the day's rows" in text
    )
    assert lines[-1] == "READY: this can be materialised; worth a look: see above."


def test_problems_stand_above_a_verdict_that_says_no(check):
    lines = list(lines_of(check(rows=None)))

    assert lines[-1] == "NOT READY: 1 problem(s), see above. Nothing was written."
    assert any(line.startswith("- no file for raw.impressions") for line in lines)


def test_what_a_file_says_cannot_steer_the_terminal(check):
    rows = [*ROWS, {"user_id": "\x1b[2J" + "x" * 100, "duration_ms": "0"}]

    text = "\n".join(lines_of(check(rows, videos="video_id,\x1b[31mred\nv1,a\n")))

    assert "\x1b" not in text
    assert "x" * 50 not in text


def test_of_many_days_the_first_and_the_last_are_listed(check):
    days = [f"2026-{m:02}-{d:02}" for m in (3, 4) for d in range(1, 29)]
    lines = list(lines_of(check([{"dt": d, "occurred_at": f"{d} 12:00:00"} for d in days])))

    listed = [line for line in lines if line.startswith(("2026-", "..."))]
    assert len(listed) == 41
    assert listed[20].strip() == "..."
