import itertools

import pytest
import torch

from lt4rec_core.serving import latency


def test_every_batch_size_is_timed_at_least_three_times(served, ranker):
    found = latency.measure(ranker, served.samples(served.days[2]), seconds=1e-9)

    assert list(found) == [1, 64, 1024, 8192]
    assert all(0 < one.p50 <= one.p99 and one.n == 3 for one in found.values())


def test_percentiles_are_of_the_passes(served, ranker, monkeypatch):
    # A clock that ticks a millisecond a look, so that every pass takes one.
    ticks = itertools.count(0, 0.001)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(ticks))

    found = latency.measure(ranker, served.samples(served.days[2]), seconds=0.04)

    assert all(one.p50 == pytest.approx(1) and one.p99 == pytest.approx(1) for one in found.values())


def test_nothing_is_measured_without_time_or_samples(served, ranker):
    samples = served.samples(served.days[2])

    assert latency.measure(ranker, samples, seconds=0) == {}
    assert latency.measure(ranker, samples.select(torch.arange(0)), seconds=1) == {}
