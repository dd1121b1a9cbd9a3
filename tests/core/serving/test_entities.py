import numpy as np
import pytest
import torch

from lt4rec_core.catalogue import hash_bucket
from lt4rec_core.errors import LakeError, ModelStoreError
from lt4rec_core.serving.entities import Entities, read_entities
from tests.sql.conftest import PARAMS


def encoded(served, entities, side, name):
    """An entity's features as one mapping of columns."""
    (row,) = entities[side].rows([name])
    features = served.catalogue.side(side)
    columns = [f.column for f in features if f.kind == "categorical"]
    found = dict(zip(columns, entities[side].ids[row].tolist(), strict=True))
    return found | {c: [i for i in v[row].tolist() if i] for c, v in entities[side].lists.items()}


@pytest.mark.parametrize("side", ["user", "video"])
def test_features_are_those_that_training_computes_for_the_day_after(served, side):
    entities, tomorrow = served.entities(), served.days[2]
    columns = [f.column for f in served.catalogue.side(side)]

    rows = served.platform.rows(f"features.{side}_features", day=tomorrow)

    known = [row for row in rows if row[f"{side}_id"] in entities[side].names]
    assert len(known) >= 8
    for row in known:
        assert encoded(served, entities, side, row[f"{side}_id"]) == {c: row[c] for c in columns}


def test_whoever_is_described_or_was_seen_in_the_week_is_known(served):
    entities = served.entities()

    assert entities["user"].names == [f"u{i}" for i in range(8)]  # u7 is not described, u8 comes tomorrow
    assert entities["video"].names == sorted(f"v{i}" for i in range(12))


def test_an_unknown_one_has_the_features_that_training_gives_to_a_newcomer(served):
    # u8 first appears on the day after and is not described: cold start.
    (row,) = [
        r for r in served.platform.rows("features.user_features", served.days[2]) if r["user_id"] == "u8"
    ]

    unknown = encoded(served, served.entities(), "user", "u8")

    expected = {c: row[c] for c in unknown}
    assert expected.pop("f_user_id") == hash_bucket("u8", 1000)
    assert unknown.pop("f_user_id") == 0  # the ranker hashes the name it is asked for
    assert unknown == expected


def test_a_video_is_as_long_as_it_was_last(served):
    videos = served.entities()["video"]

    assert videos.duration_ms[videos.rows(["v0", "v3", "nobody"])].tolist() == [500, 500 * 27, -1]


def test_entities_come_back_from_their_tensors(served):
    for side, before in served.entities().items():
        after = Entities.of_tensors(before.tensors(side), side)

        assert after.names == before.names
        assert np.array_equal(after.ids, before.ids)
        assert {c: v.tolist() for c, v in after.lists.items()} == {
            c: v.tolist() for c, v in before.lists.items()
        }


def test_names_may_hold_anything():
    names = ["", "a b", "ü/日本", "\n"]
    some = Entities(names, np.zeros((5, 1), np.int32), {}, np.full(5, -1))

    assert Entities.of_tensors(some.tensors("user"), "user").names == names


def test_tensors_without_names_are_refused():
    with pytest.raises(ModelStoreError, match="users do not fit together: 'users/names'"):
        Entities.of_tensors({"users/ids": torch.zeros(1)}, "user")


def test_a_day_whose_counts_were_never_made_is_refused(served):
    lake, files, tomorrow = served.platform.lake, served.platform.files, served.days[2]

    with pytest.raises(LakeError, match="which is not there"):
        read_entities(lake, files, served.catalogue, tomorrow.replace(day=tomorrow.day + 1), PARAMS)
