from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
import torch

from lt4rec_core.data import staging
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import LABEL_COLUMNS, load_samples
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.data.streaming import (
    SampleStream,
    blocks_of,
    bytes_per_sample,
    count,
    in_order,
    load_days,
    share_of,
)
from lt4rec_core.errors import LakeError

HEADER = """\
-- Samples.
-- grain: one row
-- key: user_id, at
-- columns:
--   dt date day
--   user_id varchar who
--   at timestamp when
--   f_user_id integer a
--   f_video_id integer b
--   f_page integer c
--   f_position integer d
--   m_history integer[] e
--   is_click boolean g
--   watch_ratio double h
"""
MONDAY, TUESDAY = date(2022, 4, 25), date(2022, 4, 26)
N = 50


def rows(day):
    """Rows that are told apart by ``f_video_id`` and the day."""
    click = [i % 3 == 0 for i in range(N)]
    return pa.table(
        {
            "dt": pa.array([day] * N, pa.date32()),
            "user_id": [f"u{i // 10}" for i in range(N)],
            "at": pa.array(
                [datetime(2022, 4, 25) + timedelta(seconds=i) for i in range(N)], pa.timestamp("us")
            ),
            "f_user_id": pa.array([i // 10 for i in range(N)], pa.int32()),
            "f_video_id": pa.array([i % 30 for i in range(N)], pa.int32()),
            "f_page": pa.array([day.day - 25] * N, pa.int32()),
            "f_position": pa.array([None if i == 7 else i % 5 for i in range(N)], pa.int32()),
            "m_history": pa.array([[1] * (i % 4) for i in range(N)], pa.list_(pa.int32())),
            "is_click": click,
            "watch_ratio": pa.array([0.5 if c and i else None for i, c in enumerate(click)], pa.float64()),
        }
    )


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """Two days in row groups of ten rows."""
    monkeypatch.setattr(staging, "ROWS_PER_GROUP", 10)
    path = tmp_path / "sql" / "training" / "samples.sql"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER)
    lake = Lake(tmp_path / "home")
    lake.create([read_sql_file(path)])
    for day in (MONDAY, TUESDAY):
        lake.publish(lake.stage("training.samples", day, rows(day).to_reader()))
    return lake


@pytest.fixture
def stream(lake, catalogue):
    return SampleStream(lake.snapshot("training.samples"), MONDAY, TUESDAY, catalogue, block_rows=25)


def in_memory(lake, catalogue, keep=()):
    return load_samples(lake.open("training.samples", MONDAY, TUESDAY), catalogue, keep=keep)


def copied(block):
    """A block is gone when the next one comes."""
    return block.select(torch.arange(len(block)))


def joined(blocks):
    blocks = [copied(block) for block in blocks]
    ids = torch.cat([block.ids for block in blocks])
    lists = torch.cat([block.lists["m_history"] for block in blocks])
    labels = torch.stack([torch.cat([b.labels[n] for b in blocks]) for n in ("is_click", "watch_ratio")])
    return ids, lists, labels, [len(block) for block in blocks]


def test_in_order_it_gives_what_loading_gives(lake, stream, catalogue):
    whole = in_memory(lake, catalogue)
    ids, lists, labels, sizes = joined(stream.in_order())

    assert torch.equal(ids, whole.ids)
    assert torch.equal(lists, whole.lists["m_history"])
    assert torch.equal(labels[0], whole.labels["is_click"])
    assert torch.equal(labels[1].nan_to_num(-1), whole.labels["watch_ratio"].nan_to_num(-1))
    assert sizes == [20] * 5  # two row groups of ten fit into 25
    assert len(stream) == 100


def test_a_day_in_several_files_comes_in_the_order_of_its_key(lake, stream, catalogue):
    files = stream.snapshot.files
    turned = replace(stream, snapshot=replace(stream.snapshot, files=tuple(reversed(files))))
    assert torch.equal(joined(turned.in_order())[0], in_memory(lake, catalogue).ids)
    groups = [group.first for group in stream._groups()]
    assert groups == [f"u{i}" for i in range(5)] * 2


def test_shuffled_it_meets_every_row_once_in_blocks_drawn_from_everywhere(lake, stream, catalogue):
    draws = [joined(stream.shuffled(torch.Generator().manual_seed(seed)))[0] for seed in (0, 0, 1)]

    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    everything = sorted(in_memory(lake, catalogue).ids.tolist())
    assert all(sorted(ids.tolist()) == everything for ids in draws)
    blocks = [set(ids[start : start + 20, 2].tolist()) for ids in draws for start in range(0, 100, 20)]
    assert {0, 1} in blocks  # both days in one block


def test_columns_can_be_kept_beside(lake, stream, catalogue):
    keep = ("dt", "user_id", "at", "is_click")
    kept = pa.concat_tables([block.kept for block in stream.in_order(keep)])
    assert kept.equals(in_memory(lake, catalogue, keep).kept)


def test_labels_are_counted_without_features(lake, stream):
    def clicks(part):
        return int((part.labels["is_click"] == 1).sum())

    assert {block.ids.shape[1] for block in stream.labels(["is_click"])} == {0}
    assert count(stream, ["is_click", "is_like"], clicks) == 34


def test_days_are_loaded_as_they_lie_where_they_lie_in_order(lake, stream, catalogue, monkeypatch):
    whole, keep = in_memory(lake, catalogue, ("at",)), ("at",)
    monkeypatch.setattr(Lake, "open", None)  # nothing is sorted
    loaded = load_days(lake, stream.snapshot, MONDAY, TUESDAY, catalogue, keep)
    assert torch.equal(loaded.ids, whole.ids)
    assert loaded.kept.equals(whole.kept)
    assert len(load_days(lake, stream.snapshot, TUESDAY, TUESDAY, catalogue)) == N


def test_days_that_lie_in_another_order_are_sorted(lake, stream, catalogue):
    whole = in_memory(lake, catalogue)
    turned = rows(MONDAY).take(list(reversed(range(N))))
    lake.publish(lake.stage("training.samples", MONDAY, turned.to_reader()))
    snapshot = lake.snapshot("training.samples")
    assert stream.is_ordered()
    assert torch.equal(load_days(lake, snapshot, MONDAY, TUESDAY, catalogue).ids, whole.ids)


def test_samples_in_memory_are_one_block(lake, catalogue):
    whole, generator = in_memory(lake, catalogue), torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert [*blocks_of(whole, generator), *in_order(whole)] == [whole, whole]
    assert torch.equal(generator.get_state(), before)
    assert count(whole, ["is_click"], len) == 100


def test_a_row_group_that_is_larger_than_a_block_is_a_block(stream):
    assert [len(block) for block in replace(stream, block_rows=1).in_order()] == [10] * 10


def test_a_damaged_file_is_named_with_its_day(lake, stream):
    path = stream.snapshot.files[1][1]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(LakeError, match=f"is damaged: .* It holds {stream.snapshot.files[1][0]}"):
        list(stream.in_order())


def test_a_sample_takes_four_bytes_for_each_number(catalogue):
    assert bytes_per_sample(catalogue) == 4 * (4 + 4 + len(LABEL_COLUMNS))


@pytest.mark.parametrize("workers", [2, 3, 20])
def test_workers_share_whole_row_groups_and_every_row_is_in_one_share(lake, stream, catalogue, workers):
    shares = [share_of(stream, rank, workers) for rank in range(workers)]
    met = [joined(share.shuffled(torch.Generator().manual_seed(3)))[0] for share in shares if len(share)]

    whole = in_memory(lake, catalogue).ids
    assert sorted(torch.cat(met).tolist()) == sorted(whole.tolist())
    assert sum(len(share) for share in shares) == len(stream) == 2 * N
    assert max(len(share) for share in shares) - min(len(share) for share in shares) <= 10


def test_a_share_counts_its_own_labels(stream):
    shares = [share_of(stream, rank, 2) for rank in range(2)]

    n = [count(share, ("is_click",), lambda part: int(part.labels["is_click"].sum())) for share in shares]

    assert sum(n) == count(stream, ("is_click",), lambda part: int(part.labels["is_click"].sum()))
    assert min(n) > 0


def test_the_first_blocks_can_be_left_out_unread(stream):
    all_ids, _, _, sizes = joined(stream.shuffled(torch.Generator().manual_seed(3)))
    later, _, _, left = joined(stream.shuffled(torch.Generator().manual_seed(3), skip=2))

    assert left == sizes[2:]
    assert torch.equal(later, all_ids[sum(sizes[:2]) :])


def test_samples_in_memory_are_shared_too_and_are_a_single_block(lake, catalogue):
    whole = in_memory(lake, catalogue)

    shares = [share_of(whole, rank, 3) for rank in range(3)]

    assert [len(share) for share in shares] == [34, 33, 33]
    assert sorted(torch.cat([share.ids for share in shares]).tolist()) == sorted(whole.ids.tolist())
    assert not list(blocks_of(whole, torch.Generator(), skip=1))
