"""AUC, GAUC, MSE and calibration of many predictions: in DuckDB, as daily_metrics.sql does, and scikit-learn.

One model and one task, no slices, so that nothing but the metrics is compared. Scores are drawn at random, so
that no two are equal and every rank must be sorted for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Span, measured

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY = "4GB"
ROWS_PER_USER = 50
FIRST_USERS = 1_000
"""Those whose AUC scikit-learn takes, one by one."""

# A positive's rank among all, less its rank among the positives, counts the negatives below it; equal scores
# share the mean of their first and last rank. The same sort puts the rows into ten bins of calibration.
WHOLE = """
with placed as (
    select
        p_ctr, is_click, rank() over by_score + count(*) over by_score as twice_rank,
        greatest(ceil(10.0 * (row_number() over by_score - 1) / ($n - 1)) - 1, 0) as bin
    from read_parquet($path) window by_score as (order by p_ctr)
), bins as (
    select
        bin, count(*) as n, count(*) filter (where is_click) as n_positive,
        sum(twice_rank) filter (where is_click) as twice_rank_sum,
        sum(p_ctr::decimal(18, 15)) as predicted,
        sum(((p_ctr - is_click::integer) * (p_ctr - is_click::integer))::decimal(18, 15)) as squared
    from placed group by bin
)
select
    (sum(twice_rank_sum) - sum(n_positive) * (sum(n_positive) + 1))
    / (2 * sum(n_positive) * (sum(n) - sum(n_positive))),
    sum(squared) / sum(n),
    list(predicted / n order by bin),
    list(n_positive / n order by bin)
from bins
"""
BY_USER = """
with placed as (
    select user_id, is_click, rank() over by_score + count(*) over by_score as twice_rank
    from read_parquet($path) where user_id < $n_users
    window by_score as (partition by user_id order by p_ctr)
), users as (
    select
        count(*) as n, count(*) filter (where is_click) as n_positive,
        sum(twice_rank) filter (where is_click) as twice_rank_sum
    from placed group by user_id
)
select
    sum((n * ((twice_rank_sum - n_positive * (n_positive + 1)) / (2 * n_positive * (n - n_positive))))
    ::decimal(38, 15)) / sum(n)
from users where n_positive between 1 and n - 1
"""


def write_predictions(path: Path, n: int) -> None:
    """Scores that know a little of the labels, and everybody's user, in the order of users."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    click = random.random(n) < 0.4
    p_ctr = 1 / (1 + np.exp(0.8 - click - random.normal(size=n)))
    columns = {"user_id": np.arange(n) // ROWS_PER_USER, "is_click": click, "p_ctr": p_ctr}
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=131_072)


def in_duckdb(path: Path, n: int) -> tuple[dict[str, list[float]], Span, Span]:
    """The values; what AUC, MSE and calibration took, and what GAUC over all users did.

    GAUC's value is that of the first users, for which scikit-learn has it too.
    """
    from lt4rec_core.data.duck import connect_scratch

    with connect_scratch(1, MEMORY, path.with_suffix(".spill")) as con:
        with measured() as whole:
            auc, mse, predicted, actual = con.execute(WHOLE, {"path": str(path), "n": n}).fetchall()[0]
        with measured() as by_user:
            con.execute(BY_USER, {"path": str(path), "n_users": n}).fetchall()
        gauc = con.execute(BY_USER, {"path": str(path), "n_users": FIRST_USERS}).fetchall()[0][0]
    values = {"auc": [auc], "mse": [mse], "gauc": [gauc], "predicted": predicted, "actual": actual}
    return values, whole, by_user


def in_sklearn(path: Path) -> tuple[dict[str, list[float]], Span, float]:
    """The same of the same file; the CPU seconds of GAUC are those of the first users, times all there are.

    GAUC is a loop over users, since scikit-learn has no other: ten million rows would take minutes.
    """
    import pyarrow.parquet as pq
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import mean_squared_error, roc_auc_score

    with measured() as whole:
        label, score, user = _columns(pq.read_table(path))
        auc, mse = roc_auc_score(label, score), mean_squared_error(label, score)
        actual, predicted = calibration_curve(label, score, n_bins=10, strategy="quantile")
    total, n_ranked = 0.0, 0
    rows = range(
        0, min(len(label), FIRST_USERS * ROWS_PER_USER), ROWS_PER_USER
    )  # users lie one after another
    with measured() as by_user:
        for start in rows:
            clicks, scores = label[start : start + ROWS_PER_USER], score[start : start + ROWS_PER_USER]
            if 0 < clicks.sum() < len(clicks):
                total += len(clicks) * roc_auc_score(clicks, scores)
                n_ranked += len(clicks)
    values = {"auc": [auc], "mse": [mse], "gauc": [total / n_ranked]}
    all_users = (user[-1] + 1) / len(rows)
    return values | {"predicted": list(predicted), "actual": list(actual)}, whole, by_user.cpu * all_users


def _columns(table: "pa.Table"):  # type: ignore[no-untyped-def]
    names = ("is_click", "p_ctr", "user_id")
    label, score, user = (table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in names)
    return label.astype("int8"), score, user


def largest_difference(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> float:
    """Between any two values, relative to the larger."""
    pairs = [(a, b) for name in ours for a, b in zip(ours[name], theirs[name], strict=True)]
    return max(abs(float(a) - float(b)) / max(abs(float(a)), abs(float(b))) for a, b in pairs)
