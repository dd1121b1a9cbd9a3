from datetime import date

import pytest

from lt4rec_core.report.blocks import Chart, Column, Gap, Section, interval, told


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "value", "–"),
        (float("nan"), "value", "–"),
        (1234567, "count", "1,234,567"),
        (0.123456, "value", "0.12346"),
        (-0.00169, "signed", "−0.00169"),
        (0.0058, "percent", "+0.58\u202f%"),
        (0.411, "share", "41.1\u202f%"),
        (0.0004, "share", "0.04\u202f%"),
        (0.0, "share", "0.0\u202f%"),
        (2_650_000, "bytes", "2.6\u202fMB"),
        (0.5662, "milliseconds", "0.57"),
        (130.4, "milliseconds", "130"),
        (True, "text", "yes"),
        (date(2026, 1, 5), "text", "2026-01-05"),
        (0.25, "text", "0.25"),
    ],
)
def test_a_value_is_told_without_digits_that_mean_nothing(value, kind, text):
    assert told(value, kind) == text


def test_an_interval_names_its_unit_once_and_is_nothing_without_both_ends():
    assert interval(-0.0022, 0.0127, "percent") == "−0.22 … +1.27\u202f%"
    assert interval(-0.0022, 0.0001, "signed") == "−0.0022 … +0.0001"
    assert interval(0.66338, 0.67708, "value") == "0.6634 … 0.6771"
    assert interval(None, 0.1, "value") is None


def test_a_column_is_set_right_where_it_holds_numbers():
    assert Column("n", "Rows", "count").is_number
    assert not Column("name", "Name").is_number


def test_a_section_knows_its_gaps_and_its_charts():
    gap = Gap("a/b", "why", "how")
    chart = Chart("c", "A title", "How to read it.", "One is 1.", {})

    section = Section("s", "S", "", [gap, chart])

    assert section.gaps == [gap]
    assert section.charts == [chart]
    assert chart.description == "A title. How to read it. One is 1."
