from dataclasses import replace
from datetime import date

import pytest
import torch

from lt4rec_core.config import digest_of
from lt4rec_core.errors import ConfigError, TrainingError
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import generator_for
from lt4rec_core.training.daily import load_nets, train_day
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.precision import automatic, checked, for_comparison
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.trainer import train

DAYS = [date(2022, 4, 29), date(2022, 4, 30)]
NETWORK = NetworkConfig()


@pytest.fixture
def processor(monkeypatch):
    """Say whether the processor multiplies bf16; PyTorch emulates it where it does not."""

    def has(bf16):
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda: bf16, raising=False)

    return has


@pytest.mark.parametrize(
    ("asked", "network", "has", "precision"),
    [
        ({}, {}, True, "bf16"),
        ({}, {}, False, "fp32"),
        ({"precision": "fp32"}, {}, True, "fp32"),
        ({"precision": "bf16"}, {}, True, "bf16"),
        ({"steps": "joint"}, {}, True, "fp32"),
        ({}, {"interaction": "user_video"}, True, "fp32"),
    ],
)
def test_auto_is_bf16_where_processor_steps_and_network_know_it(processor, asked, network, has, precision):
    processor(bf16=has)
    assert automatic(TrainingConfig(**asked), NetworkConfig(**network)) == precision


def test_races_compare_in_fp32_unless_asked(processor):
    processor(bf16=True)
    assert for_comparison(TrainingConfig()) == "fp32"
    assert for_comparison(TrainingConfig(precision="bf16")) == "bf16"


def test_bf16_is_never_emulated(processor):
    processor(bf16=False)
    assert checked("fp32") == "fp32"
    for decide in (for_comparison, lambda config: automatic(config, NETWORK)):
        with pytest.raises(TrainingError, match="would have to emulate"):
            decide(TrainingConfig(precision="bf16"))


def test_the_setting_renames_no_chain_until_it_is_set():
    assert digest_of(TrainingConfig()) == digest_of(replace(TrainingConfig(), precision="auto"))
    assert len({digest_of(TrainingConfig(precision=p)) for p in ("auto", "fp32", "bf16")}) == 3
    with pytest.raises(ConfigError, match="precision must be one of"):
        TrainingConfig(precision="fp16")


def trained(store, chain, make_samples, day):
    return train_day(store, chain, day, make_samples(200, seed=day.day), first=day == DAYS[0])


@pytest.mark.parametrize("begun_with", [True, False])
def test_a_chain_keeps_the_precision_it_began_with(tmp_path, chain, make_samples, processor, begun_with):
    processor(bf16=begun_with)
    first = trained(ModelStore(tmp_path), chain, make_samples, DAYS[0])
    processor(bf16=True)
    second = trained(ModelStore(tmp_path), chain, make_samples, DAYS[1])

    assert first.precision == second.precision == ("bf16" if begun_with else "fp32")
    for day in DAYS:
        identity = ModelStore(tmp_path).manifest(chain.kind, chain.digest, day)["identity"]
        assert identity.get("precision") == ("bf16" if begun_with else None)


def test_a_chain_in_bf16_is_not_continued_where_it_would_be_emulated(
    tmp_path, chain, make_samples, processor
):
    processor(bf16=True)
    store = ModelStore(tmp_path)
    trained(store, chain, make_samples, DAYS[0])
    processor(bf16=False)
    for again in (store, ModelStore(tmp_path)):  # warm, and from disk
        with pytest.raises(TrainingError, match="Go on where it was begun"):
            trained(again, chain, make_samples, DAYS[1])
    assert ModelStore(tmp_path).days(chain.kind, chain.digest) == DAYS[:1]
    assert load_nets(ModelStore(tmp_path), chain, DAYS[0])  # scoring is fp32 and goes on


def test_only_the_plain_network_and_alternating_steps_train_in_bf16(catalogue, small_network, make_samples):
    config, tasks = TrainingConfig(steps="joint"), get_tasks(["ctr", "cvr"])
    net = SharedNet(catalogue, ("ctr", "cvr"), small_network, generator_for(0))
    with pytest.raises(TrainingError, match="trains in fp32 only, asked for bf16"):
        train(
            net, make_optimizers(net, config), make_samples(50), tasks, config, generator_for(0),
            precision="bf16",
        )  # fmt: skip
