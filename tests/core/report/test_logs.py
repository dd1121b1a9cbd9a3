from datetime import date

from lt4rec_core.report import logs
from lt4rec_core.report.blocks import Chart, Gap, Note, Table

DAYS = [
    {"dt": date(2026, 1, day), "delivered": 50, "accepted": 40, "clicked": 20, "watched": 5} for day in (5, 6)
]
FAILED = {
    "dt": date(2026, 1, 5),
    "asset": "a/b",
    "check_name": "keys",
    "outcome": "warning",
    "message": "m",
    "waiver": None,
}


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_funnel_adds_the_days_up_and_tells_each_share_of_the_step_above(answers):
    (chart,) = of_kind(logs.funnel(answers(funnel=DAYS)), Chart)

    steps = {row["step"]: row["told"] for row in chart.spec["data"]["values"]}
    assert steps == {
        "delivered": "100",
        "accepted": "80, 80.0\u202f%",
        "clicked": "40, 50.0\u202f%",
        "watched": "10, 25.0\u202f%",
    }
    assert chart.table.rows == DAYS


def test_what_is_missing_from_funnel_and_table_one_is_named_each_by_itself(answers):
    assert [gap.asset for gap in logs.funnel(answers()).gaps] == ["somewhere/funnel", "somewhere/table_one"]


def test_checks_that_did_not_hold_are_listed_up_to_a_number_and_the_rest_is_counted(answers):
    many = [FAILED] * (logs.MOST + 3)

    tables = of_kind(logs.quality(answers(checks=[{"asset": "a/b"}], failed_checks=many)), Table)

    assert len(tables[1].rows) == logs.MOST
    assert "3 more" in tables[1].note


def test_reasons_of_waivers_have_a_column_where_there_are_any(answers):
    def titles(**row):
        section = logs.quality(answers(checks=[{"asset": "a/b"}], failed_checks=[{**FAILED, **row}]))
        return [column.title for column in of_kind(section, Table)[1].columns]

    assert "Waived because" not in titles()
    assert "Waived because" in titles(outcome="waived", waiver="a holiday")


def test_days_without_a_fault_say_so_instead_of_showing_an_empty_table(answers):
    section = logs.quality(answers(checks=[{"asset": "a/b"}], funnel=DAYS))

    assert [note.text for note in of_kind(section, Note)] == [
        "Every check of these days held.",
        "No delivered row of these days was rejected.",
    ]


def test_what_cannot_be_read_is_not_taken_for_good_news(answers):
    damaged = Gap("a/b", "it cannot be read", "again")

    section = logs.quality(
        answers(checks=[{"asset": "a/b"}], failed_checks=damaged, funnel=DAYS, rejected=damaged)
    )

    assert section.gaps == [damaged, damaged]
    assert not of_kind(section, Note)


def test_without_any_audit_it_is_not_said_that_every_check_held(answers):
    section = logs.quality(answers(funnel=DAYS))

    assert of_kind(section, Gap)
    assert "Every check" not in " ".join(note.text for note in of_kind(section, Note))
