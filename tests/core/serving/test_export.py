from dataclasses import replace

import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.serving.export import draft, publish, served_folder
from lt4rec_core.training.chain import Chain


@pytest.fixture
def store(served, tmp_path):
    """An empty store beside the one that holds the models."""
    return replace(served.store, home=tmp_path)


def put(store, drafted, day, promoted):
    of_day = replace(drafted, identity=drafted.identity | {"day": day})
    publish(store, of_day, {"promotion": {"promoted": promoted}})


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


def test_the_newest_promoted_ranker_is_in_use(served, store):
    drafted = served.draft()
    assert served_folder(store.home) is None
    for day, promoted in (("2022-04-26", True), ("2022-04-28", True), ("2022-04-29", False)):
        put(store, drafted, day, promoted)

    assert served_folder(store.home).name == "2022-04-28"
    assert served_folder(store.home, before=served.days[1].replace(day=28)).name == "2022-04-26"


def test_a_day_written_again_without_promotion_hands_back_to_the_one_before(served, store):
    drafted = served.draft()
    for day, promoted in (("2022-04-26", True), ("2022-04-27", True), ("2022-04-27", False)):
        put(store, drafted, day, promoted)

    assert served_folder(store.home).name == "2022-04-26"


def test_of_two_chains_the_newer_day_counts(served, store):
    drafted = served.draft()
    other = replace(drafted, identity=drafted.identity | {"chain": "f" * 64})
    put(store, drafted, "2022-04-27", True)
    put(store, other, "2022-04-26", True)

    assert served_folder(store.home).parent.name == served.chain.digest[:16]
