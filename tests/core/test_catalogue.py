import duckdb
import pytest

from lt4rec_core.catalogue import Feature, FeatureCatalogue, hash_bucket
from lt4rec_core.errors import ConfigError

USER = {"name": "user_id", "side": "user", "buckets": 100}
VIDEO = {"name": "video_id", "side": "video", "buckets": 50}
PAGE = {"name": "page", "side": "context", "values": ["feed", "search"]}


def catalogue(*more, base=(USER, VIDEO, PAGE)):
    return FeatureCatalogue.from_toml({"feature": [*base, *more]})


def encode(cat, side, **inputs):
    """The buckets that the compiled SQL gives one row of inputs."""
    columns = ", ".join(f"${name} as {name}" for name in inputs)
    with duckdb.connect() as con:
        sql = f"select {cat.fragments()[f'{side}_features'].sql} from (select {columns})"
        row = con.execute(sql, inputs)
        return dict(zip([d[0] for d in row.description], row.fetchall()[0], strict=True))


# Golden values: bucket ids lie in stored tables and trained embeddings, so the hash may never change.
@pytest.mark.parametrize(("text", "bucket"), [("", 143), ("a", 791), ("12345", 604), ("é\x00'", 356)])
def test_the_hash_has_golden_values_in_sql_and_in_python(text, bucket):
    cat = catalogue(base=({**USER, "buckets": 1000}, VIDEO, PAGE))

    assert hash_bucket(text, 1000) == bucket
    assert encode(cat, "user", user_id=text) == {"f_user_id": bucket}


def test_a_hashed_id_never_falls_into_the_bucket_of_the_missing():
    assert {hash_bucket(str(i), 3) for i in range(100)} == {1, 2}
    assert encode(catalogue(), "user", user_id=None) == {"f_user_id": 0}


def test_a_number_hashes_as_its_text():
    assert encode(catalogue(), "user", user_id=712) == {"f_user_id": hash_bucket("712", 100)}


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        (None, 0),
        (float("nan"), 0),
        (float("-inf"), 1),
        (9, 1),
        (10, 2),
        (19.9, 2),
        (20, 3),
        (float("inf"), 3),
    ],
)
def test_a_bin_begins_at_its_edge(value, bucket):
    cat = catalogue({"name": "age", "side": "user", "bins": [10, 20]}, base=(VIDEO, PAGE))

    assert encode(cat, "user", age=value) == {"f_age": bucket}


def test_text_that_is_no_number_is_missing_from_bins():
    cat = catalogue({"name": "age", "side": "user", "bins": [10, 20]}, base=(VIDEO, PAGE))

    assert encode(cat, "user", age="'; drop") == {"f_age": 0}


@pytest.mark.parametrize(("value", "bucket"), [(None, 0), ("feed", 1), ("it's", 2), ("other", 3), ("", 3)])
def test_a_vocabulary_counts_from_one_and_knows_an_other(value, bucket):
    cat = catalogue({"name": "page", "side": "context", "values": ["feed", "it's"]}, base=(USER, VIDEO))

    assert encode(cat, "context", page=value) == {"f_page": bucket}


def test_a_list_that_shares_an_embedding_meets_it_in_the_same_buckets():
    cat = catalogue(
        {"name": "clicked", "side": "user", "kind": "list", "shares": "video_id", "max_length": 2},
        base=(VIDEO, PAGE),
    )

    seen = encode(cat, "user", clicked=["v1", None, "v2", "v3"])
    assert seen == {"m_clicked": [encode(cat, "video", video_id=v)["f_video_id"] for v in ("v1", "v2")]}
    assert encode(cat, "user", clicked=None) == {"m_clicked": []}


def test_embeddings_are_counted_once_with_their_buckets():
    cat = catalogue(
        {"name": "clicked", "side": "user", "kind": "list", "shares": "video_id", "max_length": 2},
        {"name": "hour", "side": "context", "bins": [6, 12, 18]},
    )

    assert cat.embeddings == {"user_id": 100, "video_id": 50, "page": 4, "hour": 5}
    assert [f.column for f in cat.features] == ["f_user_id", "f_video_id", "f_page", "m_clicked", "f_hour"]
    assert [f.embedding for f in cat.side("user")] == ["user_id", "video_id"]


def test_fragments_declare_the_columns_they_yield():
    columns = catalogue(
        {"name": "tags", "side": "video", "kind": "list", "buckets": 9, "max_length": 5}
    ).fragments()

    assert [(c.name, c.type) for c in columns["video_columns"].columns] == [
        ("f_video_id", "integer"),
        ("m_tags", "integer[]"),
    ]
    assert columns["video_columns"].columns == columns["video_features"].columns


def test_the_digest_follows_what_decides_a_bucket_and_no_description():
    same = catalogue(base=({**USER, "description": "who", "input": "user_id"}, VIDEO, PAGE))
    other = catalogue(base=({**USER, "buckets": 101}, VIDEO, PAGE))
    turned = catalogue(base=(VIDEO, USER, PAGE))

    assert catalogue().digest == same.digest
    assert len({catalogue().digest, other.digest, turned.digest}) == 3
    assert len(catalogue().digest) == 64


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"side": "user", "buckets": 9}, "has no name"),
        ({"name": "x", "buckets": 9}, "side is missing"),
        ({"name": "X y", "side": "user", "buckets": 9}, "name must be lower-case"),
        ({"name": "x", "side": "item", "buckets": 9}, "side must be one of user, video, context"),
        ({"name": "x", "side": "user", "kind": "bag", "buckets": 9}, "kind must be one of"),
        ({"name": "x", "side": "user", "size": 9}, "unknown key.s. size"),
        ({"name": "x", "side": "user"}, "exactly one of buckets, shares, bins, values; got none"),
        ({"name": "x", "side": "user", "buckets": 9, "bins": [1]}, "got buckets and bins"),
        ({"name": "x", "side": "user", "buckets": 1}, "buckets must be a whole number from 2"),
        ({"name": "x", "side": "user", "buckets": "9"}, "buckets must be a whole number from 2"),
        ({"name": "x", "side": "user", "bins": []}, "bins must be a list of finite numbers"),
        ({"name": "x", "side": "user", "bins": 3}, "bins must be a list, got 3"),
        ({"name": "x", "side": "user", "bins": [1, float("nan")]}, "bins must be a list of finite numbers"),
        ({"name": "x", "side": "user", "bins": [2, 1]}, "bins must ascend"),
        ({"name": "x", "side": "user", "bins": [1, 1]}, "bins must ascend"),
        ({"name": "x", "side": "user", "values": ["a", "a"]}, "values are listed twice: 'a'"),
        ({"name": "x", "side": "user", "values": [1]}, "values must be a list of texts"),
        ({"name": "x", "side": "user", "kind": "list", "buckets": 9}, "a list needs max_length"),
        (
            {"name": "x", "side": "user", "kind": "list", "bins": [1], "max_length": 2},
            "a list cannot be binned",
        ),
        (
            {"name": "x", "side": "user", "buckets": 9, "max_length": 2},
            "max_length is for kind = 'list' only",
        ),
        ({"name": "x", "side": "context", "buckets": 9}, "computed for every impression"),
        ({"name": "x", "side": "context", "input": "is_click", "bins": [1]}, "'is_click'.*would leak"),
        ({"name": "x", "side": "user", "buckets": 9, "input": 'a" from b'}, "input must be a column name"),
        ({"name": "x", "side": "user", "buckets": 9, "known_when_serving": "no"}, "must be true or false"),
        ({"name": "x", "side": "user", "shares": "y"}, "shares the embedding of 'y', which no feature owns"),
        ({"name": "user_id", "side": "user", "buckets": 9}, "'user_id' is declared 2 times"),
    ],
)
def test_a_faulty_feature_is_refused_with_the_reason(fault, message):
    with pytest.raises(ConfigError, match=message):
        catalogue(fault)


def test_sharing_what_is_itself_shared_is_refused():
    first = {"name": "a", "side": "user", "shares": "video_id"}
    with pytest.raises(ConfigError, match="'b' shares the embedding of 'a', which no feature owns"):
        catalogue(first, {"name": "b", "side": "user", "shares": "a"})


def test_every_fault_is_reported_at_once():
    with pytest.raises(ConfigError) as refused:
        catalogue({"name": "x", "side": "user"}, {"name": "y", "side": "user", "bins": [2, 1], "buckets": 1})

    for part in ("2 faulty", "'x'", "'y'", "must ascend", "got buckets and bins", "from 2 to"):
        assert part in str(refused.value)


def test_each_side_needs_a_feature():
    with pytest.raises(ConfigError, match="no feature has side = 'context'"):
        catalogue(base=(USER, VIDEO))


def test_a_sharing_feature_has_no_buckets_of_its_own():
    with pytest.raises(ConfigError, match="shares the embedding 'video_id'"):
        _ = Feature(name="seen", side="user", shares="video_id").n_buckets
