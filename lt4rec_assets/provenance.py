"""What a run was made by: the commit of the checkout and the seed, as tags of every run.

The UI and the daemon start runs of assets without asking the graph for tags. So a run is tagged when it opens
its resources, by the process that does its work: the commit is that of the code that ran.
"""

import re
from functools import cache
from pathlib import Path

import dagster as dg

from lt4rec_assets.settings import Settings

COMMIT_TAG, SEED_TAG = "lt4rec/git_commit", "lt4rec/seed"
CHECKOUT = Path(__file__).resolve().parent.parent


def run_tags(settings: Settings) -> dict[str, str]:
    """The tags of every run of a home: its seed and, where the code is a git checkout, the commit."""
    tags = {SEED_TAG: str(settings.learning.get("training", {}).get("seed", 0))}
    commit = checked_out_commit(CHECKOUT)
    return {**tags, COMMIT_TAG: commit} if commit else tags


def tag_run(context: dg.InitResourceContext, tags: dict[str, str]) -> None:
    """Put tags on the run that opens a resource, unless they are there."""
    run = context.run
    if run is None or context.instance is None:
        return  # opened outside a run
    if new := {name: value for name, value in tags.items() if run.tags.get(name) != value}:
        context.instance.add_run_tags(run.run_id, new)


@cache
def checked_out_commit(root: Path) -> str | None:
    """The commit that is checked out in a folder, read from git's own files; None if it is no checkout.

    Changes that are not committed do not show. It is read once per process, as the code is.
    """
    try:
        git = root / ".git"
        if git.is_file():  # a worktree, or a submodule
            git = root / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if head.startswith("ref:"):
            head = _commit_of(git, head.removeprefix("ref:").strip())
    except (OSError, UnicodeDecodeError):
        return None
    return head if re.fullmatch(r"[0-9a-f]{40,64}", head) else None


def _commit_of(git: Path, ref: str) -> str:
    """The commit of a branch: in a file of its own, or among the packed ones; '' if there is none yet."""
    common = git / "commondir"
    shared = git / common.read_text(encoding="utf-8").strip() if common.exists() else git
    for folder in (git, shared):
        if (folder / ref).is_file():
            return (folder / ref).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {ref}")), "")
