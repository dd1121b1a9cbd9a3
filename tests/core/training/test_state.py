from dataclasses import replace
from datetime import date

import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training import state as state_module
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.daily import train_day
from lt4rec_core.training.modelfile import Saved
from lt4rec_core.training.state import initial, restore
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.tickets import initial_generator

DAYS = [date(2022, 4, 29), date(2022, 4, 30), date(2022, 5, 1)]
TASKS = get_tasks(["ctr", "cvr"])


@pytest.fixture
def few_ids(make_samples):
    """Samples of a few users and videos: most rows of the table are never touched."""

    def make(day):
        samples = make_samples(200, seed=day.day)
        samples.ids[:, :2] %= 8
        samples.lists["m_history"] %= 8
        return samples

    return make


def train_days(store, chain, few_ids, days=DAYS):
    for day in days:
        train_day(store, chain, day, few_ids(day), first=day == days[0])
    return store.warm[chain.digest][2]


def every_number(state):
    """All tensors of a state as they are in memory, whatever a file leaves out."""
    for name, net in state.nets.items():
        yield from ((f"{name}/{key}", p.detach()) for key, p in net.named_parameters())
        embedding = state.optimizers[name].embedding
        yield from [(f"{name}/accumulator", embedding.accumulator), (f"{name}/touched", embedding.touched)]
        for task, adam in state.optimizers[name].tasks.items():
            yield from (
                (f"{name}/{task}/{parameter}/{key}", value)
                for parameter, moments in adam._state.items()
                for key, value in moments.items()
            )


@pytest.mark.parametrize("adagrad_initial", [0.0, 0.1])
def test_every_number_of_the_state_comes_back_bit_for_bit(tmp_path, chain, few_ids, adagrad_initial):
    chain = replace(chain, training=replace(chain.training, adagrad_initial=adagrad_initial))
    store = ModelStore(tmp_path)
    in_memory = dict(every_number(train_days(store, chain, few_ids)))

    restored = dict(every_number(restore(chain, store.load(chain.kind, chain.digest, DAYS[-1]), DAYS[-1])))

    assert restored.keys() == in_memory.keys()
    for name, value in in_memory.items():
        assert value.dtype == restored[name].dtype
        assert torch.equal(value, restored[name]), name
    assert any(name.endswith("exp_avg_sq") for name in restored)


def test_a_file_holds_touched_rows_only_and_moments_within_the_masks(tmp_path, chain, few_ids):
    store = ModelStore(tmp_path)
    state = train_days(store, chain, few_ids)

    saved = store.load(chain.kind, chain.digest, DAYS[-1]).tensors

    for name, net in state.nets.items():
        start = initial(chain).nets[name].table
        moved = (net.table != start).any(1).nonzero().squeeze(1)
        assert saved[f"{name}/optimizer/table.rows"].tolist() == moved.tolist()
        assert 0 < len(moved) < net.layout.n_rows / 2
        assert f"{name}/net/table" not in saved
        for task in net.tasks:
            mask = chain.masks[task]
            n_kept = net.trunk[0].weight.numel() if mask is None else int(mask["trunk.0.weight"].sum())
            assert saved[f"{name}/optimizer/{task}/trunk.0.weight.exp_avg"].numel() == n_kept


def test_a_machine_that_draws_other_first_values_is_refused(tmp_path, chain, few_ids, monkeypatch):
    store = ModelStore(tmp_path)
    train_days(store, chain, few_ids, DAYS[:1])

    def another_draw(*purpose):
        return initial_generator(*purpose[:-1], "another machine")

    monkeypatch.setattr(state_module, "initial_generator", another_draw)

    with pytest.raises(ModelStoreError, match=r"started from first values .*, this machine draws"):
        train_day(ModelStore(tmp_path), chain, DAYS[1], few_ids(DAYS[1]), first=False)


def test_a_model_of_another_network_is_refused(tmp_path, chain, few_ids):
    store = ModelStore(tmp_path)
    train_days(store, chain, few_ids, DAYS[:1])
    saved = store.load(chain.kind, chain.digest, DAYS[0])
    whose = next(iter(chain.members))
    lacking = {n: v for n, v in saved.tensors.items() if n != f"{whose}/net/trunk.0.bias"}
    rows = saved.tensors[f"{whose}/optimizer/table.rows"]
    beyond = {**saved.tensors, f"{whose}/optimizer/table.rows": rows + 1000}

    with pytest.raises(ModelStoreError, match="model of 2022-04-29 holds another network than this chain's"):
        restore(chain, Saved(lacking, saved.manifest), DAYS[0])
    with pytest.raises(ModelStoreError, match="Was the model saved with another feature catalogue"):
        restore(chain, Saved(beyond, saved.manifest), DAYS[0])


def test_snet_is_one_network_and_the_baseline_one_per_task(chain):
    members = {name: net.tasks for name, net in initial(chain).nets.items()}

    if chain.kind == "snet":
        assert members == {"shared": ("ctr", "cvr")}
    else:
        assert members == {"ctr": ("ctr",), "cvr": ("cvr",)}


def test_a_model_copied_from_another_chain_is_refused(tmp_path, chain, few_ids):
    store, other = ModelStore(tmp_path), replace(chain, seed=4)
    train_days(store, chain, few_ids, DAYS[:1])
    folder = store.folder(chain.kind, other.digest, DAYS[0])
    folder.parent.mkdir(parents=True)
    store.folder(chain.kind, chain.digest, DAYS[0]).rename(folder)

    with pytest.raises(ModelStoreError, match=r"belongs to chain .*Was a folder copied by hand"):
        train_day(store, other, DAYS[1], few_ids(DAYS[1]), first=False)


def test_with_rewind_snet_starts_where_the_tickets_did(tmp_path, catalogue, small_network, tickets):
    chain = Chain(
        kind="snet",
        catalogue=catalogue,
        tasks=TASKS,
        network=small_network,
        tickets=tickets,
        restart="rewind",
    )
    ticket_start = SharedNet(catalogue, ("cvr",), small_network, initial_generator(0, "rewind", "cvr", 2))

    start = initial(chain).nets["shared"]

    assert torch.equal(start.table, ticket_start.table)
    for name, weight in start.trunk_weights().items():
        assert torch.equal(weight, ticket_start.trunk_weights()[name])
