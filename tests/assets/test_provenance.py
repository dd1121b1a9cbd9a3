import subprocess

import dagster as dg
import pytest

from lt4rec_assets.provenance import COMMIT_TAG, SEED_TAG, checked_out_commit, run_tags
from lt4rec_assets.resources import LakeResource

A, B = "a" * 40, "b" * 40


def commit_of(folder):
    """Read anew each time: the process remembers."""
    return checked_out_commit.__wrapped__(folder)


def git(folder, *words):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_the_commit_is_the_one_that_git_names(checkout):
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_worktree_has_a_commit_of_its_own(checkout, tmp_path):
    git(checkout, "worktree", "add", "-q", "-b", "side", tmp_path / "side")
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "second")

    assert commit_of(tmp_path / "side") == git(tmp_path / "side", "rev-parse", "HEAD")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


def test_packed_references_and_a_detached_head_are_read(checkout):
    git(checkout, "pack-refs", "--all")
    packed = commit_of(checkout)
    git(checkout, "checkout", "-q", "--detach")

    assert packed == commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


def test_no_checkout_and_a_checkout_without_commit_have_none(tmp_path):
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")

    assert commit_of(tmp_path) is None
    assert commit_of(tmp_path / "new") is None


def test_a_run_that_was_started_without_tags_has_them_once_it_opens_the_lake(tmp_path):
    @dg.asset
    def made(lake: LakeResource) -> None:
        """Stands for any asset."""

    tags = {COMMIT_TAG: A, SEED_TAG: "7"}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [made], instance=instance, resources={"lake": LakeResource(home=str(tmp_path), run_tags=tags)}
        )

        assert tags.items() <= instance.get_run_by_id(done.run_id).tags.items()


def test_a_retry_under_newer_code_carries_the_newer_commit(tmp_path):
    @dg.asset
    def made(lake: LakeResource) -> None:
        """Stands for any asset."""

    with dg.DagsterInstance.ephemeral() as instance:
        lake = LakeResource(home=str(tmp_path), run_tags={COMMIT_TAG: B})
        done = dg.materialize([made], instance=instance, resources={"lake": lake}, tags={COMMIT_TAG: A})

        assert instance.get_run_by_id(done.run_id).tags[COMMIT_TAG] == B


def test_every_run_of_a_home_names_its_seed(filled):
    expected = run_tags(filled.project.settings)

    assert expected[SEED_TAG] == "0"
    with dg.DagsterInstance.get() as instance:
        assert all(expected.items() <= run.tags.items() for run in instance.get_runs())


def test_jobs_carry_the_tags_from_their_start(filled):
    for name in ("daily_chain", "vacuum"):
        job = filled.definitions.resolve_job_def(name)
        assert run_tags(filled.project.settings).items() <= job.run_tags.items()
