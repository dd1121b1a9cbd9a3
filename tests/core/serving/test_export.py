from dataclasses import replace

import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.serving.export import draft, publish
from lt4rec_core.training.chain import Chain


@pytest.fixture
def store(served, tmp_path):
    """An empty store beside the one that holds the models."""
    return replace(served.store, home=tmp_path)


def test_the_same_day_gives_the_same_digest(served, store):
    assert publish(store, served.draft(), {}) == publish(store, served.draft(), {"promotion": {}})


def test_a_chain_of_single_networks_has_no_ranker(served):
    baseline = Chain(kind="baseline", catalogue=served.catalogue, tasks=served.chain.tasks)

    with pytest.raises(ConfigError, match="one network"):
        draft(served.store, baseline, served.days[1], {}, "UTC")


def test_sizes_count_what_is_stored(served):
    drafted = served.draft()

    assert set(drafted.sizes) == {"trunk", "embeddings", "features"}
    assert sum(drafted.sizes.values()) == sum(t.numel() * t.element_size() for t in drafted.tensors.values())
