"""What a race is run on, as the lake holds it: a digest of the rows, and the best that could be reached."""

import hashlib
from collections.abc import Sequence
from datetime import date

from lt4rec_core.data.lake import Lake
from lt4rec_core.evaluation.metrics import auc_score, mse_loss

SAMPLES, TRUTH = "training.samples", "source.truth"


def samples_digest(lake: Lake, days: Sequence[date]) -> str:
    """A digest of the rows of ``training.samples`` on those days, whatever their order and their files.

    Cells of a race name it, so that a day that is made again with the same rows leaves the race as it is.

    Raises:
        LakeError: there is no such table.
    """
    found = []
    with lake.scratch() as con:
        for day in sorted(days):
            rows = lake.snapshot(SAMPLES).select(con, day, day)
            text = f"select count(*), sum(md5_number_lower(cast(s as varchar))::hugeint) from ({rows}) as s"
            found.append((str(day), *(str(value) for value in con.execute(text).fetchall()[0])))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def best_reachable(lake: Lake, days: Sequence[date]) -> dict[str, float]:
    """``ctr_auc`` and ``cvr_mse`` of the true click probability and watch ratio, which no model can beat.

    Args:
        lake: of a source that knows its truth.
        days: the test days, one after the other.

    Raises:
        LakeError: there is no truth.
    """
    with lake.scratch() as con:
        samples = lake.snapshot(SAMPLES).select(con, days[0], days[-1])
        truth = lake.snapshot(TRUTH).select(con, days[0], days[-1])
        found = con.execute(
            f"""
            select s.is_click, s.watch_ratio, t.p_click, t.expected_watch_ratio
            from ({samples}) as s inner join ({truth}) as t using (dt, user_id, video_id, occurred_at)
            """
        ).fetchnumpy()
    clicked = found["is_click"].astype(bool)
    watched = clicked & ~found["watch_ratio"].mask if hasattr(found["watch_ratio"], "mask") else clicked
    return {
        "ctr_auc": auc_score(clicked.astype(float), found["p_click"]),
        "cvr_mse": mse_loss(found["watch_ratio"][watched], found["expected_watch_ratio"][watched]),
    }
