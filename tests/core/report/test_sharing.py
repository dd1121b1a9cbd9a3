import pytest
import torch

from lt4rec_core.report.blocks import Chart, Gap
from lt4rec_core.report.sharing import Drawn, sharing
from lt4rec_core.training.tickets import Round, Ticket


def ticket(task, keep, best_i=1):
    """A ticket over two layers of four weights; ``keep`` are those of the first, the second keeps all."""
    mask = {
        "trunk.1.weight": torch.ones(4, dtype=torch.bool),
        "trunk.0.weight": torch.tensor(keep, dtype=torch.bool),
    }
    rounds = tuple(
        Round(
            i=i,
            density=1 - i / 2,
            layer_densities={},
            train_loss=0.5,
            metric=0.6 + i / 10,
            standard_error=0.05,
        )
        for i in range(2)
    )
    return Ticket(
        task=task, metric="auc" if task == "ctr" else "mse", best_i=best_i, rounds=rounds, mask=mask
    )


def charts_of(*pairs):
    drawn = Drawn("home", "here", {"ctr": [p[0] for p in pairs], "cvr": [p[1] for p in pairs]})
    return {chart.id: chart for chart in sharing([drawn], []).blocks if isinstance(chart, Chart)}


PAIR = (ticket("ctr", [1, 1, 0, 0]), ticket("cvr", [1, 0, 1, 0]))


def test_each_weight_is_shared_of_one_task_or_unused_and_layers_stand_in_order():
    first, second, whole = charts_of(PAIR)["chart-sharing-home"].table.rows

    assert [row["layer"] for row in (first, second, whole)] == ["trunk.0", "trunk.1", "all layers"]
    assert [first[k] for k in ("shared", "only_first", "only_second", "unused")] == [1, 1, 1, 1]
    assert (whole["shared"], whole["n"]) == (5, 8)
    assert first["jaccard"] == pytest.approx(1 / 3)
    # Two masks that keep half each share a quarter by chance and keep three quarters between them.
    assert first["chance"] == pytest.approx(0.25 / 0.75)


def test_a_bar_adds_up_to_the_layer():
    pieces = [
        p for p in charts_of(PAIR)["chart-sharing-home"].spec["data"]["values"] if p["layer"] == "trunk.0"
    ]

    assert [(p["start"], p["end"]) for p in pieces] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]


def test_one_seed_is_banded_by_its_standard_error_and_marks_its_ticket():
    dense, pruned = charts_of(PAIR)["chart-pruning-ctr-home"].spec["data"]["values"]

    assert (dense["low"], dense["high"]) == (pytest.approx(0.55), pytest.approx(0.65))
    assert (dense["chosen"], pruned["chosen"]) == ("", "ticket")


def test_several_seeds_are_banded_by_their_range_and_counted_where_they_chose():
    other = (ticket("ctr", [1, 1, 0, 0], best_i=0), PAIR[1])

    dense, pruned = charts_of(PAIR, other)["chart-pruning-ctr-home"].spec["data"]["values"]

    assert dense["low"] == dense["high"] == pytest.approx(0.6)
    assert (dense["chosen"], pruned["chosen"]) == ("1 of 2", "1 of 2")


def test_tickets_that_are_not_found_are_named():
    gap = Gap("tickets/ticket", "no ticket of ctr was found yet", "backfill")

    assert sharing([], [gap]).gaps == [gap]
