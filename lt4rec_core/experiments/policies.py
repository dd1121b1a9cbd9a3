"""Policies of Table 3: whose pCTR and whose pCVR rank by Eq. 3; beside them the truth, and lots.

Shapes: n lists (requests, or a user's impressions of a day), m candidates each; or flat.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lt4rec_core.config import check
from lt4rec_core.data.simulator import Requests
from lt4rec_core.evaluation.metrics import Floats
from lt4rec_core.experiments.rankers import can_be_ranked
from lt4rec_core.model.variants import get_variants
from lt4rec_core.serving.ranker import Ranker, rank_score

RowScores = Mapping[str, Mapping[str, Floats]]
"""Row to task to predictions, all of one shape."""

Exponents = tuple[float, float, float]
"""a, b and c of Eq. 3."""

ONES: Exponents = (1.0, 1.0, 1.0)
"""As in the paper's Table 3."""


@dataclass(frozen=True)
class Policy:
    """Eq. 3 with the pCTR of one row of the race and the pCVR of one, perhaps the same."""

    ctr: str
    cvr: str

    def __post_init__(self) -> None:
        for task, row in (("ctr", self.ctr), ("cvr", self.cvr)):
            (variant,) = get_variants([row])
            check(
                task in variant.scores and can_be_ranked(row),
                f"{row} gives no p{task.upper()} to rank with: it predicts {', '.join(variant.scores)} and "
                f"{'can' if can_be_ranked(row) else 'cannot'} be exported as a ranker. Name another row.",
            )

    @property
    def name(self) -> str:
        """As the paper writes it: ``base_ctr*hard_cvr*length``."""
        return f"{_short(self.ctr)}_ctr*{_short(self.cvr)}_cvr*length"

    def scores(self, rows: RowScores, seconds: Floats, exponents: Exponents = ONES) -> Floats:
        """Eq. 3 for each candidate."""
        return rank_score(rows[self.ctr]["ctr"], rows[self.cvr]["cvr"], seconds, *exponents)


def _short(row: str) -> str:
    return row.removesuffix("_ctr").removesuffix("_cvr").removesuffix("_sharing")


TABLE_3 = (
    Policy("base_ctr", "base_cvr"),
    Policy("base_ctr", "hard_sharing"),
    Policy("base_ctr", "s_weight"),
    Policy("s_weight", "s_weight"),
)
"""The paper's four policies, the first of them the one that the others are compared with."""

BEYOND = (
    Policy("hard_sharing", "hard_sharing"),
    Policy("s_weight_fixed_sparsity", "s_weight_fixed_sparsity"),
)
"""Hard sharing for both tasks; tickets that keep 20 % whatever validation says, which is what saves most."""

ORACLE, RANDOM = "oracle", "random"
"""Ranks by the true probabilities; ranks by lot."""


def rows_of(policies: Iterable[Policy]) -> list[str]:
    """The rows whose models are needed, each once."""
    return list(dict.fromkeys(row for policy in policies for row in (policy.ctr, policy.cvr)))


def score_requests(ranker: Ranker, requests: Requests) -> dict[str, Floats]:
    """What a ranker says of each candidate of each request: task to (n, m).

    Raises:
        ServingError: as ``Ranker.score_candidates``.
    """
    found: dict[str, list[Floats]] = {task: [] for task in ranker.tasks}
    lengths: Sequence[list[int]] = requests.duration_ms.tolist()
    for i, user in enumerate(requests.user_ids):
        context = {
            "page": requests.pages[i], "occurred_at": requests.occurred_at[i], "duration_ms": lengths[i],
        }  # fmt: skip
        scores, _ = ranker.score_candidates(user, requests.video_ids[i], context)
        for task, values in scores.items():
            found[task].append(values)
    return {task: np.stack(values) for task, values in found.items()}


def all_scores(
    policies: Iterable[Policy], rows: RowScores, requests: Requests, exponents: Exponents = ONES
) -> dict[str, Floats]:
    """By policy the score (n, m) that it ranks by, the oracle and lots among them."""
    seconds = requests.duration_ms / 1000
    found = {policy.name: policy.scores(rows, seconds, exponents) for policy in policies}
    found[ORACLE] = rank_score(requests.p_click, requests.expected_watch_ratio, seconds, *exponents)
    return {**found, RANDOM: requests.lots}
