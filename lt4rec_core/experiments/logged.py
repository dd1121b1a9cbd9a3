"""The same policies on logged test days, where nobody was shown what they would have shown.

Where the source knows its truth, also how well pCVR does on impressions that were *not* clicked: CVR trains
on clicks and ranks everything (sample selection bias).

Shapes: n impressions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import TrainingError
from lt4rec_core.evaluation.metrics import Floats, Integers, auc_by_group, squared_errors
from lt4rec_core.experiments.policies import ORACLE, RANDOM, Policy, RowScores
from lt4rec_core.experiments.ratios import Ratio
from lt4rec_core.experiments.samples import TRUTH
from lt4rec_core.experiments.scarcity import KEY
from lt4rec_core.serving.ranker import rank_score

KEPT = (*KEY, "dt", "duration_ms")
"""What must stand beside the samples."""

TOP = 10
"""k of NDCG@k."""

METRICS = ("ndcg_at_10", "gauc", "cvr_mse", "cvr_mse_true_clicked", "cvr_mse_true_not_clicked")
"""NDCG of the rank score, by seconds watched, over a user's impressions of a day; GAUC of pCTR by clicks; MSE
of pCVR against the watch ratios of clicks, and against the true expected watch ratio of clicked and of other
impressions."""


@dataclass(frozen=True)
class Logged:
    """The logged impressions of the test days."""

    users: npt.NDArray[np.str_]
    """(n,)"""
    lists: Integers
    """(n,) which user's day each belongs to, numbered from 0 without a gap."""
    seconds: Floats
    """(n,) lengths of the videos."""
    clicked: npt.NDArray[np.bool_]
    """(n,)"""
    watch_ratio: Floats
    """(n,) NaN without a click."""
    p_click: Floats | None = None
    """(n,) the truth, where the source knows it."""
    expected_watch_ratio: Floats | None = None
    """(n,) given a click, whether or not there was one."""

    @classmethod
    def of(cls, samples: SampleSet, truth: tuple[Floats, Floats] | None = None) -> "Logged":
        """From samples with ``KEPT`` beside them, and what ``read_truth`` found.

        Raises:
            TrainingError: columns are missing beside the samples.
        """
        if samples.kept is None or not set(KEPT) <= set(samples.kept.column_names):
            raise TrainingError(
                f"Policies on logged days need the columns {', '.join(KEPT)} beside the tensors, found "
                f"{samples.kept.column_names if samples.kept is not None else 'none'}. "
                "Pass them as keep= to load_samples."
            )
        users = np.array(samples.kept["user_id"].to_pylist(), dtype=str)
        days = np.array([day.toordinal() for day in samples.kept["dt"].to_pylist()])
        user_codes = np.unique(users, return_inverse=True)[1].astype(np.int64)
        lists = np.unique(user_codes * 4_000_000 + days, return_inverse=True)[1]
        labels = samples.labels
        return cls(
            users, lists, samples.kept["duration_ms"].to_numpy() / 1000,
            (labels["is_click"] == 1).numpy(), labels["watch_ratio"].double().numpy(), *(truth or ()),
        )  # fmt: skip


def read_truth(lake: Lake, days: Sequence[date], samples: SampleSet) -> tuple[Floats, Floats]:
    """True click probability and expected watch ratio of each sample, (n,) each, NaN where unknown.

    Args:
        lake: of a source that knows its truth.
        days: those of the samples.
        samples: with ``KEPT`` beside them.

    Raises:
        LakeError: there is no truth.
    """
    assert samples.kept is not None
    shown = samples.kept.append_column("place", [list(range(len(samples)))])
    with lake.scratch() as con:
        truth = lake.snapshot(TRUTH).select(con, days[0], days[-1])
        con.register("shown", shown)
        found = con.execute(
            f"""
            with known as (
                select dt, user_id, video_id, occurred_at, any_value(p_click) as p_click,
                       any_value(expected_watch_ratio) as expected_watch_ratio
                from ({truth})
                group by all
            )
            select known.p_click, known.expected_watch_ratio
            from shown left join known using (dt, user_id, video_id, occurred_at)
            order by shown.place
            """
        ).to_arrow_table()
    p_click, expected = (column.to_numpy().astype(np.float64) for column in found.columns)
    return p_click, expected


def logged_outcomes(
    logged: Logged, rows: RowScores, policies: Sequence[Policy], seed: int
) -> dict[str, dict[str, Ratio]]:
    """Policy to metric to sums per user; the oracle where the truth is known, and lots, among them.

    Args:
        logged: the test days.
        rows: row to task to predictions (n,) of them.
        policies: who ranks.
        seed: of the lots.
    """
    lots = np.random.default_rng([seed, len(logged.users)]).random(len(logged.users))
    found = {
        policy.name: {
            "ndcg_at_10": _ndcg(logged, policy.scores(rows, logged.seconds)),
            **_predicted(logged, rows[policy.ctr]["ctr"], rows[policy.cvr]["cvr"]),
        }
        for policy in policies
    }
    p_click, expected = logged.p_click, logged.expected_watch_ratio
    if p_click is not None and expected is not None:
        best = rank_score(p_click, expected, logged.seconds)
        found[ORACLE] = {"ndcg_at_10": _ndcg(logged, best), **_predicted(logged, p_click, expected)}
    found[RANDOM] = {"ndcg_at_10": _ndcg(logged, lots), "gauc": _gauc(logged, lots)}
    return found


def _predicted(logged: Logged, p_ctr: Floats, p_cvr: Floats) -> dict[str, Ratio]:
    """What does not depend on the rank score."""
    known = np.isfinite(logged.watch_ratio) & logged.clicked
    found = {
        "gauc": _gauc(logged, p_ctr),
        "cvr_mse": _mse(logged, known, logged.watch_ratio, p_cvr),
    }
    truth = logged.expected_watch_ratio
    if truth is not None:
        there = np.isfinite(truth)
        found["cvr_mse_true_clicked"] = _mse(logged, there & logged.clicked, truth, p_cvr)
        found["cvr_mse_true_not_clicked"] = _mse(logged, there & ~logged.clicked, truth, p_cvr)
    return found


def _mse(logged: Logged, rows: npt.NDArray[np.bool_], labels: Floats, scores: Floats) -> Ratio:
    errors = squared_errors(labels[rows], scores[rows])
    return Ratio.of(logged.users[rows], errors, np.ones(len(errors)))


def _gauc(logged: Logged, scores: Floats) -> Ratio:
    """Each user's own AUC, weighed by impressions; users of one class do not count."""
    names, codes = np.unique(logged.users, return_inverse=True)
    auc, n_rows = auc_by_group(logged.clicked, scores, codes)
    defined = ~np.isnan(auc)
    return Ratio.of(names, np.where(defined, auc, 0) * n_rows, defined * n_rows)


def _ndcg(logged: Logged, scores: Floats) -> Ratio:
    """Of each list in which anything was watched; the mean over lists."""
    gains = np.where(logged.clicked, np.nan_to_num(logged.watch_ratio) * logged.seconds, 0.0)
    found = ndcg(gains, scores, logged.lists, TOP)
    defined = ~np.isnan(found)
    owners = logged.users[np.unique(logged.lists, return_index=True)[1]]
    return Ratio.of(owners, np.where(defined, found, 0), defined.astype(np.float64))


def ndcg(gains: Floats, scores: Floats, lists: Integers, k: int) -> Floats:
    """NDCG@k of each list, (n_lists,): gains over log2(1 + place), as a share of the best order's.

    Args:
        gains: (n,) at least 0.
        scores: (n,) the largest first; equal ones keep their order.
        lists: (n,) numbered from 0 without a gap.
        k: places that count.

    Returns:
        NaN for a list without any gain.
    """
    n_lists = int(lists.max()) + 1 if len(lists) else 0
    got, best = (_discounted(gains, order, lists, k, n_lists) for order in (scores, gains))
    return np.divide(got, best, out=np.full(n_lists, np.nan), where=best > 0)


def _discounted(gains: Floats, order_by: Floats, lists: Integers, k: int, n_lists: int) -> Floats:
    order = np.lexsort((-order_by, lists))
    of = lists[order]
    starts = np.searchsorted(of, np.arange(n_lists))
    place = np.arange(len(of)) - starts[of] + 1
    worth = np.where(place <= k, gains[order] / np.log2(1 + place), 0.0)
    total: Floats = np.bincount(of, worth, n_lists).astype(np.float64)
    return total
