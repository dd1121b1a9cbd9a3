"""Objects: written once, written over exactly one, and what is said of a store that is not right."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lt4rec_core.data import objects
from lt4rec_core.errors import StoreError

BUCKET = "bucket-of-objects"


def test_the_first_to_write_an_object_is_the_only_one(in_store):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: objects.write_new(BUCKET, "once", b"%d" % i), range(8)))

    assert sum(made) == 1
    assert objects.read(BUCKET, "once")[0] == b"%d" % made.index(True)


def test_an_object_is_replaced_only_while_it_is_the_one_that_was_read(in_store):
    objects.write(BUCKET, "pointer", b"a")
    e_tag = objects.read(BUCKET, "pointer")[1]

    assert objects.write_over(BUCKET, "pointer", b"b", e_tag)
    assert not objects.write_over(BUCKET, "pointer", b"c", e_tag)
    assert objects.read(BUCKET, "pointer")[0] == b"b"


def test_what_is_not_there_cannot_be_replaced_and_removing_it_is_no_error(in_store):
    assert not objects.write_over(BUCKET, "nothing", b"a", '"0"')
    objects.remove(BUCKET, "nothing")

    assert objects.look(BUCKET, "nothing") is None
    with pytest.raises(FileNotFoundError, match=f"there is no object s3://{BUCKET}/nothing"):
        objects.read(BUCKET, "nothing")


def test_a_file_is_sent_whole_and_listed_with_its_size(in_store, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 7_000_000)  # more than one part

    objects.write(BUCKET, "big/file", tmp_path / "file")

    assert [(f.key, f.size) for f in objects.below(BUCKET, "big")] == [("big/file", 7_000_000)]
    assert objects.read(BUCKET, "big/file")[0] == (tmp_path / "file").read_bytes()


def test_a_listing_ends_at_the_slash(in_store):
    for key in ("a/b/1", "a/c/2", "a/3", "ab/d/4"):
        objects.write(BUCKET, key, b"")

    assert objects.folders(BUCKET, "a") == ["b", "c"]
    assert [f.key for f in objects.below(BUCKET, "a")] == ["a/3", "a/b/1", "a/c/2"]


def test_arrow_reads_what_was_written(in_store):
    objects.write(BUCKET, "for/arrow", b"0123456789")

    with objects.file_system().open_input_file(f"{BUCKET}/for/arrow") as file:
        file.seek(4)
        assert file.read(3) == b"456"


def test_a_store_with_conditional_writes_is_taken_at_any_time(in_store):
    objects.require_conditional_writes(BUCKET, "home")
    objects.forget()
    objects.require_conditional_writes(BUCKET, "home")

    assert [f.key for f in objects.below(BUCKET, "home")] == [f"home/{objects.PROBE}"]


def test_a_store_without_them_is_refused_and_nothing_stays(in_store):
    with pytest.raises(
        StoreError, match=r"no conditional writes: .* If-None-Match and If-Match\. .*OBJECT_STOR"
    ):
        objects.require_conditional_writes("forgetful-bucket", "home")

    assert not list(objects.below("forgetful-bucket", "home"))


def test_a_bucket_that_is_not_there_is_named(in_store):
    with pytest.raises(StoreError, match=r"there is no bucket for s3://missing-one at http://127\.0\.0\.1"):
        objects.look("missing-one", "x")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", r"refuses these credentials .* InvalidAccessKeyId\. Correct AWS_ACC"),
        (
            "AWS_ENDPOINT_URL",
            "http://127.0.0.1:9",
            r"cannot be reached at http://127\.0\.0\.1:9: .* Correct AWS_E",
        ),
        ("AWS_ALLOW_HTTP", "false", r"is no https:// address, and AWS_ALLOW_HTTP is not true"),
    ],
)
def test_what_is_set_wrong_is_said_at_once_and_in_one_line(in_store, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    objects.forget()

    with pytest.raises(StoreError, match=said) as caught:
        objects.read(BUCKET, "x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
