from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import torch

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeError
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.ticket_record import ROUNDS, SHARING, record_sharing, record_ticket
from lt4rec_core.training.tickets import PruneConfig, Round, Ticket, TicketKey

SQL = Path(__file__).resolve().parents[3] / "sql"
SUNDAY = date(2026, 1, 11)


def ticket(task, best_i=1):
    rounds = tuple(
        Round(i=i, density=d, layer_densities={}, train_loss=0.5, metric=m, standard_error=0.01)
        for i, (d, m) in enumerate([(1.0, 0.7), (0.5, 0.8)])
    )
    mask = {"trunk.0.weight": torch.tensor([[True, False]])}
    return Ticket(task=task, metric="auc", best_i=best_i, rounds=rounds, mask=mask)


@pytest.fixture
def key():
    settings = {"network": NetworkConfig(), "training": TrainingConfig(), "pruning": PruneConfig()}
    return TicketKey(catalogue="c", first=date(2026, 1, 5), last=SUNDAY, seed=0, **settings)


def test_a_ticket_is_kept_round_by_round_and_recorded_again_beside_what_was(tmp_path, key):
    lake = Lake(tmp_path)
    lake.create([read_sql_file(SQL / "tickets" / "search_rounds.sql")])
    at = datetime(2026, 1, 12, 4, tzinfo=UTC)

    record_ticket(lake, key, ticket("ctr"), at)
    record_ticket(lake, key, ticket("cvr"), at)
    record_ticket(lake, key, ticket("ctr"))

    rows = lake.open(ROUNDS, SUNDAY, SUNDAY).read_all().to_pylist()
    assert [(r["task"], r["round"], r["value"], r["is_chosen"]) for r in rows] == [
        ("ctr", 0, 0.7, False),
        ("ctr", 1, 0.8, True),
    ] * 2 + [("cvr", 0, 0.7, False), ("cvr", 1, 0.8, True)]
    assert rows[0]["recorded_at"] == datetime(2026, 1, 12, 4)
    assert {r["settings_digest"] for r in rows} == {key.digest}
    assert {r["mask_digest"] for r in rows} == {ticket("ctr").digest}


def test_without_its_table_the_lake_says_what_is_missing(tmp_path, key):
    with pytest.raises(LakeError, match=r"no table tickets\.search_rounds"):
        record_ticket(Lake(tmp_path), key, ticket("ctr"))


def test_what_two_tickets_share_is_counted_by_layer_and_published_in_place_of_what_was(tmp_path):
    lake = Lake(tmp_path)
    lake.create([read_sql_file(SQL / "tickets" / "sharing.sql")])
    masks = {
        "cvr": {"trunk.0.weight": torch.tensor([[True, True, False, False, False]])},
        "ctr": {"trunk.0.weight": torch.tensor([[True, False, True, False, False]])},
    }

    for _ in range(2):
        record_sharing(lake, SUNDAY, masks)

    rows = lake.open(SHARING, SUNDAY, SUNDAY).read_all().to_pylist()
    assert [(r["task"], r["other_task"], r["layer"]) for r in rows] == [
        ("ctr", "cvr", "all"),
        ("ctr", "cvr", "trunk.0.weight"),
    ]
    counts = ("n_weights", "n_shared", "n_only_task", "n_only_other", "n_unused")
    assert [[r[name] for name in counts] for r in rows] == [[5, 1, 1, 1, 2]] * 2
    assert rows[0]["jaccard"] == pytest.approx(1 / 3)
    assert rows[0]["jaccard_by_chance"] == pytest.approx(0.16 / 0.64)
