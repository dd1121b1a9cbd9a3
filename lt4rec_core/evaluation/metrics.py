"""AUC, GAUC, MSE, log loss and calibration, exact and in plain numpy.

``*_score``: higher is better; ``*_loss``: lower is better. Labels and scores are one-dimensional and of one
length, one entry per row. Labels of ranking metrics are 0 or 1; those of the others may be soft, anywhere in
[0, 1] (a watch ratio).

A NaN among the scores or labels makes the metric NaN: an undefined prediction has no quality, and no row is
dropped in silence. A metric that its rows do not define (an AUC of one class, a mean of no rows) is NaN too.

``sql/evaluation/daily_metrics.sql`` computes the same numbers by other means; tests hold the two together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SMALLEST_PROBABILITY = 1e-7
"""Scores are clipped to [1e-7, 1 - 1e-7] before a logarithm: about what a float32 sigmoid can resolve."""


def auc_score(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Probability that a random positive scores above a random negative; ties count one half.

    Without weights the pairs are counted in integers, so the result does not depend on the order of the rows.

    Args:
        labels: (n,) booleans, or numbers that are 0 or 1.
        scores: (n,) numbers; only their order matters.
        weights: (n,) how often each row counts, at least 0; None counts every row once.

    Returns:
        The area under the ROC curve in [0, 1]; NaN when only one class has weight.

    Raises:
        ValueError: a label is neither 0 nor 1, or lengths differ.
    """
    is_positive, scores_ = _binary(labels), _column(scores, "scores")
    _check_lengths(is_positive, scores_)
    if np.isnan(scores_).any():
        return float("nan")
    if weights is None:
        positives, negatives = np.sort(scores_[is_positive]), np.sort(scores_[~is_positive])
        if not len(positives) or not len(negatives):
            return float("nan")
        below = np.searchsorted(negatives, positives, "left")
        not_above = np.searchsorted(negatives, positives, "right")
        return float(int(below.sum() + not_above.sum()) / (2 * len(positives) * len(negatives)))

    weights_ = _column(weights, "weights")
    _check_lengths(is_positive, weights_)
    return WeightedAuc(is_positive, scores_).value(weights_)


class WeightedAuc:
    """The AUC of fixed rows under many weightings: sorted once, then gathers and a running sum each time."""

    def __init__(self, is_positive: npt.NDArray[np.bool_], scores: Floats) -> None:
        negatives = np.flatnonzero(~is_positive)
        self._negatives = negatives[np.argsort(scores[negatives], kind="stable")]  # ascending by score
        self._positives = np.flatnonzero(is_positive)
        sorted_scores = scores[self._negatives]
        self._below = np.searchsorted(sorted_scores, scores[self._positives], "left")
        self._not_above = np.searchsorted(sorted_scores, scores[self._positives], "right")

    def value(self, weights: npt.NDArray) -> float:
        """The AUC where row i counts ``weights[i]`` times, weights (n,); NaN when a class has no weight."""
        negatives_up_to = np.concatenate(([0], np.cumsum(weights[self._negatives])))
        positive = weights[self._positives]
        n_pairs = float(positive.sum()) * float(negatives_up_to[-1])
        if not n_pairs > 0:
            return float("nan")
        # Twice the pairs won: those below count in both terms, ties in one.
        won_twice = positive * (negatives_up_to[self._below] + negatives_up_to[self._not_above])
        return float(won_twice.sum() / 2 / n_pairs)


def gauc_score(labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Mean of the users' own AUCs, weighted by their impressions, over users who have both classes.

    Args:
        labels: (n,) booleans, or numbers that are 0 or 1.
        scores: (n,) numbers; only their order within a user matters.
        groups: (n,) the user of each row.

    Returns:
        The grouped AUC in [0, 1]; NaN when no user has both classes.
    """
    is_positive, scores_ = _binary(labels), _column(scores, "scores")
    codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    _check_lengths(is_positive, scores_)
    _check_lengths(is_positive, codes)
    if np.isnan(scores_).any():
        return float("nan")
    auc, n_rows = auc_by_group(is_positive, scores_, codes)
    defined = ~np.isnan(auc)
    return _ratio(float((auc * n_rows)[defined].sum()), float(n_rows[defined].sum()))


def auc_by_group(
    is_positive: npt.NDArray[np.bool_], scores: Floats, codes: Integers
) -> tuple[Floats, Integers]:
    """Each group's AUC and size, both (n_groups,); the AUC of a group of one class is NaN.

    ``codes`` (n,) number the groups from 0 without a gap.
    """
    n_groups = int(codes.max()) + 1 if len(codes) else 0
    order = np.lexsort((scores, codes))
    code, score, positive = codes[order], scores[order], is_positive[order]

    n_rows = np.bincount(code, minlength=n_groups)
    n_positive = np.bincount(code, weights=positive, minlength=n_groups).astype(np.int64)
    n_negative = n_rows - n_positive

    # Twice the mean rank of each row within its group: ranks start + 1 … end of its run of equal scores.
    new_run = np.ones(len(code), dtype=bool)
    new_run[1:] = (code[1:] != code[:-1]) | (score[1:] != score[:-1])
    starts = np.flatnonzero(new_run)
    run = np.cumsum(new_run) - 1
    ends = np.append(starts[1:], len(code))
    first_row = np.concatenate(([0], np.cumsum(n_rows)))[:-1]
    twice_rank = (starts + ends + 1)[run] - 2 * first_row[code]

    twice_rank_sum = np.bincount(code, weights=np.where(positive, twice_rank, 0), minlength=n_groups)
    won_twice = twice_rank_sum - n_positive * (n_positive + 1)
    n_pairs = n_positive * n_negative
    auc = np.full(n_groups, np.nan)
    np.divide(won_twice, 2.0 * n_pairs, out=auc, where=n_pairs > 0)
    return auc, n_rows


def mse_loss(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Mean squared error; labels may be soft; NaN without rows."""
    labels_, scores_ = _column(labels, "labels"), _column(scores, "scores")
    _check_lengths(labels_, scores_)
    return _ratio(float(squared_errors(labels_, scores_).sum()), len(labels_))


def log_loss(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Mean cross-entropy in nats of clipped scores; labels may be soft; NaN without rows."""
    labels_, scores_ = _column(labels, "labels"), _column(scores, "scores")
    _check_lengths(labels_, scores_)
    return _ratio(float(cross_entropies(labels_, scores_).sum()), len(labels_))


def pcoc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Predicted over observed, sum of scores by sum of labels: 1 is calibrated, NaN is nothing observed."""
    labels_, scores_ = _column(labels, "labels"), _column(scores, "scores")
    _check_lengths(labels_, scores_)
    return _ratio(float(scores_.sum()), float(labels_.sum()))


def squared_errors(labels: Floats, scores: Floats) -> Floats:
    """Each row's squared error, (n,)."""
    return (scores - labels) ** 2


def cross_entropies(labels: Floats, scores: Floats) -> Floats:
    """Each row's cross-entropy in nats, (n,), scores clipped by ``SMALLEST_PROBABILITY``."""
    p = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -(labels * np.log(p) + (1 - labels) * np.log(1 - p))


@dataclass(frozen=True)
class CalibrationTable:
    """Mean prediction and mean label of equally many rows each, from the lowest scores to the highest."""

    predicted: Floats
    """(n_bins,) mean score of each bin."""

    actual: Floats
    """(n_bins,) mean label of each bin."""

    n: Integers
    """(n_bins,) rows in each bin; they differ by at most one, larger bins first."""


def calibration_table(labels: npt.ArrayLike, scores: npt.ArrayLike, n_bins: int = 10) -> CalibrationTable:
    """Split the rows by score into bins of equal size; fewer rows than bins give one bin per row.

    Equal scores stay in the order they came in; in ``sql/evaluation/calibration.sql`` that is the key's.
    """
    labels_, scores_ = _column(labels, "labels"), _column(scores, "scores")
    _check_lengths(labels_, scores_)
    bins = [part for part in np.array_split(np.argsort(scores_, kind="stable"), n_bins) if len(part)]
    return CalibrationTable(
        predicted=np.array([scores_[part].mean() for part in bins]),
        actual=np.array([labels_[part].mean() for part in bins]),
        n=np.array([len(part) for part in bins], dtype=np.int64),
    )


def _column(values: npt.ArrayLike, name: str) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError(
            f"{name} have shape {column.shape}, one dimension is needed. Pass one number per row."
        )
    return column


def _binary(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    column = _column(labels, "labels")
    is_positive = column == 1
    if not (is_positive | (column == 0)).all():
        odd = column[~(is_positive | (column == 0))][0]
        raise ValueError(
            f"a ranking metric needs labels that are 0 or 1, found {odd}. "
            "Soft labels have an MSE and a log loss; for an AUC cut them at a threshold first."
        )
    return is_positive


def _check_lengths(a: npt.NDArray, b: npt.NDArray) -> None:
    if len(a) != len(b):
        raise ValueError(
            f"labels, scores, weights and groups must be of one length, got {len(a)} and {len(b)}. "
            "Were they taken from different samples?"
        )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
