from lt4rec_core.data.source_check.facts import SourceReport


def test_a_report_is_fine_until_a_problem_is_found():
    report = SourceReport(source=None)
    report.notes.append("odd")
    assert report.ok

    report.problems.append("wrong")
    assert not report.ok


def test_measures_add_up_over_days_and_rejections_over_reasons():
    report = SourceReport(
        source=None, days=[{"n_rows": 2}, {"n_rows": 3}], rejected={"duplicate": 1, "wrong_day": 4}
    )

    assert report.total("n_rows") == 5
    assert report.n_rejected == 5
