import math

import pyarrow as pa
import pytest
import torch

from lt4rec_core.data.loading import concat, load_samples
from lt4rec_core.errors import TrainingError

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("m_history", pa.list_(pa.int32())),
        ("f_position", pa.int32()),
        ("f_page", pa.int32()),
        ("f_video_id", pa.int32()),
        ("f_user_id", pa.int32()),
        ("is_click", pa.bool_()),
        ("watch_ratio", pa.float64()),
        ("is_like", pa.bool_()),
    ]
)
ROWS = [
    {"user_id": "a", "m_history": [7, 8], "f_position": 1, "f_page": 2, "f_video_id": 3, "f_user_id": 4,
     "is_click": True, "watch_ratio": 0.25, "is_like": None},
    {"user_id": "b", "m_history": [], "f_position": 0, "f_page": 0, "f_video_id": 0, "f_user_id": 39,
     "is_click": False, "watch_ratio": None, "is_like": None},
    {"user_id": "c", "m_history": None, "f_position": None, "f_page": 1, "f_video_id": 29, "f_user_id": 1,
     "is_click": False, "watch_ratio": None, "is_like": None},
    {"user_id": "d", "m_history": [1, 2, 3, 4, 5], "f_position": 5, "f_page": 1, "f_video_id": 1,
     "f_user_id": 1, "is_click": True, "watch_ratio": 1.0, "is_like": None},
]  # fmt: skip


def reader(rows=ROWS, batch_size=2, schema=SCHEMA):
    table = pa.Table.from_pylist(rows, schema=schema)
    return pa.RecordBatchReader.from_batches(schema, table.to_batches(max_chunksize=batch_size))


@pytest.mark.parametrize("n_rows", [None, 0, 4, 3, 9])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_rows_become_tensors_in_the_catalogues_order(catalogue, n_rows, batch_size):
    samples = load_samples(reader(batch_size=batch_size), catalogue, n_rows)

    # user_id, video_id, page, position: the order of the catalogue, not of the table
    assert samples.ids.tolist() == [[4, 3, 2, 1], [39, 0, 0, 0], [1, 29, 1, 0], [1, 1, 1, 5]]
    assert samples.ids.dtype == torch.int32
    assert samples.ids.is_contiguous()
    assert samples.lists["m_history"].tolist() == [[7, 8, 0, 0], [0] * 4, [0] * 4, [1, 2, 3, 4]]
    assert samples.labels["is_click"].tolist() == [1, 0, 0, 1]


def test_what_is_unknown_is_nan(catalogue):
    labels = load_samples(reader(), catalogue).labels

    assert [math.isnan(x) for x in labels["watch_ratio"].tolist()] == [False, True, True, False]
    assert labels["is_like"].isnan().all()
    assert "is_follow" not in labels


def test_columns_to_keep_come_back_beside_the_tensors(catalogue):
    samples = load_samples(reader(), catalogue, keep=["user_id"])

    assert samples.kept.to_pydict() == {"user_id": ["a", "b", "c", "d"]}
    assert samples.select(torch.tensor([3, 0])).kept.to_pydict() == {"user_id": ["d", "a"]}


def test_an_empty_stream_gives_an_empty_set(catalogue):
    samples = load_samples(reader([]), catalogue, keep=["user_id"])

    assert len(samples) == 0
    assert samples.ids.shape == (0, 4)
    assert samples.kept.num_rows == 0


@pytest.mark.parametrize(("column", "value"), [("f_page", 4), ("f_user_id", -1), ("f_video_id", 30)])
def test_a_bucket_id_outside_its_buckets_is_refused(catalogue, column, value):
    with pytest.raises(TrainingError, match=rf"{column} has 1 bucket ids outside .* for example {value}\."):
        load_samples(reader([{**ROWS[0], column: value}]), catalogue)


def test_a_list_id_outside_its_buckets_is_refused(catalogue):
    with pytest.raises(TrainingError, match=r"m_history has 1 bucket ids outside \[0, 30\)"):
        load_samples(reader([{**ROWS[0], "m_history": [1, 30]}]), catalogue)


def test_a_missing_column_is_named(catalogue):
    schema = SCHEMA.remove(SCHEMA.get_field_index("f_page"))

    with pytest.raises(TrainingError, match="lacks the columns f_page, found user_id"):
        load_samples(reader([], schema=schema), catalogue)


def test_sets_are_put_together_in_order(make_samples):
    a, b = make_samples(3, seed=1), make_samples(2, seed=2)

    both = concat([a, b])

    assert torch.equal(both.ids, torch.cat([a.ids, b.ids]))
    assert torch.equal(both.lists["m_history"][3:], b.lists["m_history"])
    assert both.labels["is_click"].tolist() == [
        *a.labels["is_click"].tolist(),
        *b.labels["is_click"].tolist(),
    ]


def test_nothing_to_put_together_is_an_error():
    with pytest.raises(TrainingError, match="the list of days is empty"):
        concat([])


def test_select_takes_rows_by_number_or_by_truth(make_samples):
    samples = make_samples(5)
    clicked = samples.labels["is_click"] == 1

    assert torch.equal(samples.select(clicked).ids, samples.ids[clicked])
    assert torch.equal(samples.select(torch.tensor([4, 0])).ids, samples.ids[[4, 0]])
