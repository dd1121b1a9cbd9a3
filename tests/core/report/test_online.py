from datetime import date

from lt4rec_core.report import online
from lt4rec_core.report.blocks import Table

BASE, OURS = "base_ctr*base_cvr*length", "base_ctr*s_weight_cvr*length"


def row(policy, data, metric, value, low=None, high=None):
    return {
        "dt": date(2026, 1, 18), "data": data, "metric": metric, "policy": policy, "n_seeds": 5,
        "value": value, "reference": BASE, "relative": value / 100 - 1, "low": low, "high": high,
    }  # fmt: skip


ROWS = [
    row("oracle", "simulated", "view_time", 150.0, 0.4, 0.6),
    row(OURS, "simulated", "view_time", 102.0, 0.01, 0.03),
    row(BASE, "simulated", "view_time", 100.0, 0.0, 0.0),
    row(BASE, "simulated", "ctr", 0.25),
    row(OURS, "simulated", "ctr", 0.26),
    row(OURS, "logged", "ndcg_at_10", 99.0, -0.02, 0.01),
    row(BASE, "logged", "ndcg_at_10", 100.0, 0.0, 0.0),
    row(BASE, "logged", "something_new", 1.0),
]


def test_policies_are_compared_by_view_time_and_on_logs_by_what_stands_for_it(answers):
    simulated, logged = online.online(answers(table_three=ROWS)).charts

    (dot,) = simulated.spec["data"]["values"]  # neither the reference nor the truth
    assert (dot["name"], dot["better"]) == (OURS, True)
    (dot,) = logged.spec["data"]["values"]
    assert dot["better"] is None
    assert logged.title == f"NDCG at 10 against {BASE}, logged"


def test_a_policy_is_one_row_the_papers_first_and_the_truth_last(answers):
    tables = [b for b in online.online(answers(table_three=ROWS)).blocks if isinstance(b, Table)]

    assert [line["policy"] for line in tables[0].rows] == [BASE, OURS, "oracle"]
    assert tables[0].rows[1]["ctr"] == 0.26
    titles = [column.title for column in tables[0].columns]
    assert titles == ["Policy", "View time, s", "Difference", "95 %", "CTR"]
    assert [column.title for column in tables[1].columns][-1] == "something new"


def test_where_nothing_was_simulated_the_table_is_named(answers):
    assert [gap.asset for gap in online.online(answers()).gaps] == ["somewhere/table_three"]
