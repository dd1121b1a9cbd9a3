"""A folder and a prefix of a bucket answer alike."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lt4rec_core.data import objects, places
from lt4rec_core.data.places import RemotePath, place
from lt4rec_core.errors import ConfigError, LakeError


@pytest.fixture(params=["folder", "bucket"])
def root(request, tmp_path):
    """Somewhere with nothing in it."""
    if request.param == "folder":
        return tmp_path / "home"
    request.getfixturevalue("in_store")
    return place(f"s3://bucket-of-places/{tmp_path.parent.name}/{tmp_path.name}")


def test_a_text_is_put_whole_and_put_again(root):
    places.put_text(root / "a" / "page.html", "old")
    places.put_text(root / "a" / "page.html", "new")

    assert (root / "a" / "page.html").read_text(encoding="utf-8") == "new"
    assert [p.name for p in places.listed(root, "*/*")] == ["page.html"]


def test_a_text_is_put_once(root):
    assert places.put_text_once(root / "home.json", "mine")
    assert not places.put_text_once(root / "home.json", "yours")
    assert (root / "home.json").read_bytes() == b"mine"


def test_what_is_not_there_is_missed_in_the_same_way(root):
    with pytest.raises(FileNotFoundError):
        (root / "home.json").read_text(encoding="utf-8")
    (root / "home.json").unlink(missing_ok=True)

    assert not root.exists()
    assert not (root / "home.json").is_file()
    assert places.folders(root) == []


def test_names_are_matched_part_by_part_and_folders_are_found_too(root):
    for name in ("snet/aa/2026-01-05/manifest.json", "snet/aa/2026-01-05/x.bin", "ranker/bb/manifest.json"):
        places.put_text(root / name, "{}")

    assert [str(p)[len(str(root)) :] for p in places.listed(root, "*/*/*/manifest.json")] == [
        "/snet/aa/2026-01-05/manifest.json"
    ]
    assert [p.name for p in places.listed(root / "snet", "*/*")] == ["2026-01-05"]
    assert [p.name for p in places.folders(root)] == ["ranker", "snet"]
    assert (root / "snet").is_dir()
    assert not (root / "sne").is_dir()


def test_a_tree_is_removed_and_its_neighbour_stays(root):
    for name in ("a/1", "a/b/2", "ab/3"):
        places.put_text(root / name, "x")

    places.remove_tree(root / "a")

    assert [p.name for p in places.folders(root)] == ["ab"]


def test_sizes_are_of_the_files_that_are_there(root):
    places.put_text(root / "a", "123")
    places.put_text(root / "b" / "c", "12345")

    assert places.bytes_of(root, ["b/c", "gone"]) == 5


def test_a_parquet_file_is_read_by_row_groups(root, tmp_path):
    pq.write_table(pa.table({"x": list(range(10)), "y": ["a"] * 10}), tmp_path / "rows", row_group_size=4)
    path = root / "rows.parquet"
    if isinstance(path, RemotePath):
        objects.write(path.bucket, path.key, tmp_path / "rows")
    else:
        path.parent.mkdir()
        (tmp_path / "rows").rename(path)

    with places.open_parquet(path) as file:
        assert file.num_row_groups == 3
        assert file.read_row_group(1, columns=["x"]).to_pydict() == {"x": [4, 5, 6, 7]}


def test_a_place_in_a_bucket_is_written_back_as_it_was_read():
    path = place("s3://bucket/a/b=1/")

    assert str(path) == "s3://bucket/a/b=1"
    assert (str(path / "c.sql"), (path / "c.sql").stem, path.parent.name) == (
        "s3://bucket/a/b=1/c.sql",
        "c",
        "a",
    )
    assert str(place("s3://bucket")) == "s3://bucket"


@pytest.mark.parametrize(
    "text", ["s3://", "s3://B", "s3:///a", "s3://bucket/a/../b", "s3://bucket/a b", "s3://a?b/c"]
)
def test_what_is_no_place_in_a_bucket_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"is no place in a bucket\. Write LT4REC_HOME as s3://bucket/prefix"
    ):
        place(text)


def test_a_place_in_a_bucket_is_no_file_to_whoever_can_only_open_files():
    with pytest.raises(TypeError):
        os.fspath(place("s3://bucket/a"))
    with pytest.raises(TypeError):
        Path(place("s3://bucket/a"))


def test_what_must_be_local_lies_in_the_home_or_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LT4REC_LOCAL", raising=False)

    assert places.working_folder(place(tmp_path / "home")) == tmp_path / "home"
    assert places.working_folder(place("s3://bucket/a")) == tmp_path / ".lt4rec"
    monkeypatch.setenv("LT4REC_LOCAL", str(tmp_path / "scratch"))
    assert places.working_folder(place("s3://bucket/a")) == tmp_path / "scratch"
    assert places.lock_file(place("s3://bucket/a")) != places.lock_file(place("s3://bucket/b"))
    assert places.lock_file(tmp_path) == tmp_path / ".lock"


def test_a_store_that_cannot_be_shared_is_refused_as_a_lake(in_store):
    with pytest.raises(LakeError, match="has no conditional writes"):
        places.require_shareable(place("s3://forgetful-bucket/home"))
