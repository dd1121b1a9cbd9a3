from datetime import date
from pathlib import Path

import pytest

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.training.daily import Workers, train_day
from lt4rec_core.training.store import ModelStore

DAY, NEXT = date(2022, 4, 29), date(2022, 4, 30)
SIZES = (90, 60, 80, 50, 30)


class KilledError(Exception):
    pass


def day_of(side_by_side, home, chain, samples, day=DAY, kept=None, killed_after=None, n=2):
    """The workers' reports of a day; all are killed after so many checkpoints, the last of which stays."""

    def work(exchange):
        done = []

        def keep(save):
            if exchange.rank == 0:
                save(Path(home) / "kept")
            done.append(1)
            if len(done) == killed_after:
                raise KilledError

        return train_day(
            ModelStore(home), chain, day, samples, first=day == DAY, workers=Workers(exchange, keep, kept)
        )

    return side_by_side(n, work)


def test_all_workers_tell_the_model_that_the_first_publishes(tmp_path, side_by_side, chain, make_blocks):
    reports = day_of(side_by_side, tmp_path, chain, make_blocks(SIZES))

    manifest = ModelStore(tmp_path).manifest(chain.kind, chain.digest, DAY)
    assert [report.digest for report in reports] == [manifest["digest"]] * 2
    assert manifest["identity"]["workers"] == 2
    assert manifest["n_samples"] == reports[0].n_samples == sum(SIZES)
    assert reports[0].losses["ctr"].n == sum(SIZES)


def test_a_day_after_a_day_of_workers_continues_it_with_or_without_them(
    tmp_path, side_by_side, chain, make_blocks
):
    (first, _) = day_of(side_by_side, tmp_path, chain, make_blocks(SIZES))

    (second, _) = day_of(side_by_side, tmp_path, chain, make_blocks(SIZES), NEXT)
    alone = train_day(ModelStore(tmp_path), chain, NEXT, make_blocks(SIZES), first=False)

    assert first.digest == second.parent == alone.parent
    assert alone.digest != second.digest


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_going_on_from_a_checkpoint_equals_not_stopping_bit_for_bit(
    tmp_path, side_by_side, chain, make_blocks, killed_after
):
    samples = make_blocks(SIZES)
    undisturbed = day_of(side_by_side, tmp_path / "a", chain, samples)
    with pytest.raises(KilledError):
        day_of(side_by_side, tmp_path / "b", chain, samples, killed_after=killed_after)
    assert ModelStore(tmp_path / "b").manifest(chain.kind, chain.digest, DAY) is None

    resumed = day_of(side_by_side, tmp_path / "b", chain, samples, kept=tmp_path / "b" / "kept")

    assert resumed[0].digest == undisturbed[0].digest
    assert resumed[0].losses == undisturbed[0].losses


def test_one_worker_trains_as_if_there_were_none(tmp_path, side_by_side, chain, make_samples):
    samples = make_samples(300)

    (by_one,) = day_of(side_by_side, tmp_path / "a", chain, samples, n=1)

    alone = train_day(ModelStore(tmp_path / "b"), chain, DAY, samples, first=True)
    assert by_one.digest == alone.digest


def test_a_checkpoint_of_another_day_is_refused(tmp_path, side_by_side, chain, make_blocks):
    samples = make_blocks(SIZES)
    day_of(side_by_side, tmp_path, chain, samples)

    with pytest.raises(
        ModelStoreError, match=r"is of 2022-04-29 after model None with 2 workers; wanted one of 2022-04-30"
    ):
        day_of(side_by_side, tmp_path, chain, samples, NEXT, kept=tmp_path / "kept")
