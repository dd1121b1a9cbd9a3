from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import torch

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import ConfigError, TrainingError
from lt4rec_core.experiments.scarcity import keep_labels, keeps_label_sql

NOON = datetime(2022, 4, 8, 12)


@pytest.fixture
def samples(make_samples):
    plain = make_samples(4000)
    kept = pa.table(
        {
            "user_id": [f"ü{i % 40}" for i in range(4000)],
            "video_id": [str(i % 30) for i in range(4000)],
            "occurred_at": [NOON + timedelta(microseconds=i) for i in range(4000)],
        }
    )
    return SampleSet(plain.ids, plain.lists, plain.labels, kept)


def known(samples):
    return ~samples.labels["watch_ratio"].isnan()


@pytest.mark.parametrize("share", [0.3, 0.1, 0.03])
def test_about_the_share_of_the_clicks_keeps_its_label(samples, share):
    n_clicks = int(known(samples).sum())

    left = int(known(keep_labels(samples, share, 0)).sum())

    assert left == pytest.approx(share * n_clicks, abs=4 * (n_clicks * share) ** 0.5)


def test_clicks_stay_clicks_and_kept_labels_stay_what_they_were(samples):
    scarce = keep_labels(samples, 0.1, 0)

    assert torch.equal(scarce.labels["is_click"], samples.labels["is_click"])
    left = known(scarce)
    assert torch.equal(scarce.labels["watch_ratio"][left], samples.labels["watch_ratio"][left])
    assert known(samples)[left].all()


def test_fewer_labels_are_among_the_more(samples):
    few, more = (known(keep_labels(samples, share, 0)) for share in (0.03, 0.3))

    assert (few & ~more).sum() == 0


def test_a_click_keeps_its_label_whatever_is_loaded_beside_it(samples):
    rows = torch.arange(500, 900)

    part = keep_labels(samples.select(rows), 0.3, 0)

    assert torch.equal(known(part), known(keep_labels(samples, 0.3, 0))[rows])


def test_another_seed_keeps_other_labels(samples):
    first, other = (known(keep_labels(samples, 0.3, seed)) for seed in (0, 1))

    assert 0.2 < (first & other).sum() / first.sum() < 0.4


def test_labels_are_dropped_whatever_they_say(samples):
    left = keep_labels(samples, 0.3, 0).labels["watch_ratio"]

    every = samples.labels["watch_ratio"]
    error = every[known(samples)].std() / np.sqrt(int((~left.isnan()).sum()))
    assert float(left.nanmean()) == pytest.approx(float(every.nanmean()), abs=float(4 * error))


def test_sql_drops_the_same_labels(samples):
    scarce, kept = keep_labels(samples, 0.3, 7), samples.kept
    condition = keeps_label_sql(0.3, 7)
    with duckdb.connect() as con:
        con.register("clicks", kept.append_column("i", pa.array(range(len(kept)))))
        rows = con.execute(f"select i from clicks where {condition} order by i").fetchnumpy()["i"]

    clicked = samples.labels["is_click"][rows] == 1
    assert torch.equal(known(scarce).nonzero().squeeze(1), torch.from_numpy(rows)[clicked])


def test_all_labels_need_no_key(make_samples):
    samples = make_samples(10)

    assert keep_labels(samples, 1.0, 0) is samples
    with pytest.raises(TrainingError, match="Pass them as keep="):
        keep_labels(samples, 0.5, 0)


@pytest.mark.parametrize("share", [0.0, 10])
def test_a_share_is_no_percentage(samples, share):
    with pytest.raises(ConfigError, match="no percentage"):
        keep_labels(samples, share, 0)
