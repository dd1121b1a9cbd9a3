import pytest

from lt4rec_core.errors import QualityError
from lt4rec_core.quality.suites import CheckResult
from lt4rec_core.quality.waivers import Waiver, apply_waivers, check_waivers

TABLE = "samples.impressions"


def test_waivers_are_reasons_by_check():
    given = [Waiver("volume", " half a day "), Waiver("drift", "a holiday")]

    assert check_waivers(TABLE, given) == {"volume": "half a day", "drift": "a holiday"}


@pytest.mark.parametrize(
    ("table", "waivers", "message"),
    [
        (
            TABLE,
            [Waiver("volumes", "why")],
            "'volumes', which samples.impressions does not have.*keys, volume",
        ),
        ("samples.clicks", [Waiver("volume", "why")], "it has no gate"),
        (TABLE, [Waiver("volume", " ")], "gives no reason"),
        (TABLE, [Waiver("volume", "a"), Waiver("volume", "b")], "waived twice: 'a' and 'b'"),
    ],
)
def test_a_waiver_of_nothing_or_without_a_reason_is_refused(table, waivers, message):
    with pytest.raises(QualityError, match=message):
        check_waivers(table, waivers)


def result(name, severity="critical", passed=False):
    return CheckResult(name, severity, passed, {}, "")


def test_a_failed_check_blocks_unless_it_is_a_warning_or_waived():
    keys, volume, drift = apply_waivers(
        [result("keys"), result("volume"), result("drift", "warning")], {"volume": "half a day"}
    )

    assert (keys.blocks, volume.blocks, drift.blocks) == (True, False, False)
    assert not volume.passed
    assert volume.waiver == "half a day"


def test_a_check_that_passed_carries_no_waiver():
    (volume,) = apply_waivers([result("volume", passed=True)], {"volume": "half a day"})

    assert volume.waiver == ""


def test_an_audit_with_a_waiver_passes_and_its_page_says_why(world):
    few = world.audit(TABLE, min_rows=10_000)
    waived = world.audit(TABLE, min_rows=10_000, waivers={"volume": "half a <day>"})

    assert not few.passed
    assert waived.passed
    assert {r.name: r.passed for r in few.results} == {r.name: r.passed for r in waived.results}
    html = waived.page.read_text(encoding="utf-8")
    assert "published" in html
    assert "waived: half a &lt;day&gt;" in html
