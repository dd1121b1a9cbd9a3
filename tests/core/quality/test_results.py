import json
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from lt4rec_core.quality.results import Findings, collect, plain
from lt4rec_core.quality.suites import CheckSpec

KEYS = CheckSpec("keys", "critical", "Every row has a key.")
DRIFT = CheckSpec("drift", "warning", "The day is like the others.")
OFFENDERS = {"check": "keys", "offenders": True}


def expectation(success, meta, type_="unexpected_rows_expectation", result=None, exception=None, **kwargs):
    """What Great Expectations says of one expectation, as far as it is read."""
    config = SimpleNamespace(meta=meta, type=type_, kwargs=kwargs)
    return SimpleNamespace(
        success=success, expectation_config=config, result=result or {}, exception_info=exception or {}
    )


def only(check, results, findings):
    return collect([check], SimpleNamespace(results=results), {check.name: findings})[0]


def test_a_check_passes_when_all_its_expectations_do():
    result = only(KEYS, [expectation(True, OFFENDERS)], Findings("A key stands twice."))
    assert (result.passed, result.message, result.observed) == (True, "Passed.", {"offending rows": 0})


def test_one_failed_expectation_fails_the_check_and_its_rows_are_shown():
    rows = [{"user_id": "u", "n_rows": 2, "is_fault": True}]
    results = [expectation(np.False_, OFFENDERS), expectation(np.True_, OFFENDERS)]

    result = only(KEYS, results, Findings("A key stands twice.", 7, rows))

    assert not result.passed
    assert result.message == "7 found: A key stands twice."
    assert result.sample_rows == [{"user_id": "u", "n_rows": 2}]
    json.dumps(result.observed)


def test_a_native_expectation_tells_column_and_count():
    result = only(
        CheckSpec("keys", "critical", "", has_sql=False),
        [
            expectation(
                False,
                {"check": "keys"},
                "expect_column_values_to_be_between",
                {"unexpected_count": 3, "partial_unexpected_list": [float("nan"), 2.0]},
                column="p_ctr",
            )
        ],
        Findings(""),
    )
    assert result.message == "p_ctr out of range is 3."
    assert result.sample_rows == [{"p_ctr": "nan"}, {"p_ctr": 2.0}]


@pytest.mark.parametrize("nested", [False, True])
def test_an_expectation_that_raises_is_critical_even_for_a_warning(nested):
    raised = {"raised_exception": True, "exception_message": "\nno such column\ndetails"}
    info = {"some metric": raised} if nested else raised

    result = only(
        DRIFT, [expectation(False, {"check": "drift", "offenders": True}, exception=info)], Findings("")
    )

    assert (result.passed, result.severity) == (False, "critical")
    assert result.message == "The check could not run: no such column"


def test_a_check_that_nothing_tested_has_not_passed():
    result = only(KEYS, [], Findings(""))
    assert not result.passed
    assert "Nothing was checked" in result.message


def test_measures_are_shown_on_a_pass_and_named_on_a_fault():
    rows = [
        {"dt": date(2026, 1, 5), "measure": "rate", "today": 0.9, "usual": 0.4, "is_fault": True},
        {"dt": date(2026, 1, 5), "measure": "volume", "today": 5.0, "usual": 5.0, "is_fault": False},
    ]
    meta = {"check": "drift", "offenders": True}

    result = only(DRIFT, [expectation(False, meta)], Findings("", 1, rows, has_measures=True))

    assert result.observed == {"rate": {"today": 0.9, "usual": 0.4}, "volume": {"today": 5.0, "usual": 5.0}}
    assert result.message == "rate: today 0.9, usual 0.4."
    assert [row["measure"] for row in result.sample_rows] == ["rate"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (np.float64("nan"), "nan"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (Decimal("0.5"), 0.5),
        (date(2026, 1, 5), "2026-01-05"),
        (datetime(2026, 1, 5, 12), "2026-01-05T12:00:00"),
        ([date(2026, 1, 5), None], ["2026-01-05", None]),
        ({1: float("inf")}, {"1": "inf"}),
    ],
    ids=str,
)
def test_values_become_what_json_can_say(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
