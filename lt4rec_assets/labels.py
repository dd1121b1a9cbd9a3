"""What stands on every asset alike: owners, tags, and which code and settings made it."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_core.config import digest_of
from lt4rec_core.quality.suites import CHECKS

CORE = Path(__file__).resolve().parent.parent / "lt4rec_core"


def labelled(project: Project, assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Give each asset its owners and its tags, and a code version where it names none.

    Tags, for selections such as ``tag:gated=yes``: ``domain``, its group; ``source``, whose logs its home
    holds; ``gated``, where a day that fails its checks is not published.
    """

    def label(spec: dg.AssetSpec) -> dg.AssetSpec:
        tags = {"domain": spec.group_name or spec.key.path[0], "source": project.source.name}
        if ".".join(spec.key.path) in CHECKS:
            tags["gated"] = "yes"
        owners = spec.owners or project.settings.operation.owners
        version = spec.code_version or code_version(project, *_rooms_of(tags["domain"]), learns=True)
        return spec.replace_attributes(tags={**tags, **spec.tags}, owners=list(owners), code_version=version)

    return [asset.map_asset_specs(label) for asset in assets]


def code_version(project: Project, *modules: str, learns: bool = False) -> str:
    """A digest of the code behind an asset that Python makes, as its SQL is of a table's.

    Comments and blank lines count for nothing. A version that changed makes what was made before it *stale*
    in the UI; nothing is run for that alone.

    Args:
        project: whose settings.
        modules: files and folders below ``lt4rec_core`` that decide the result: ``training``,
            ``data/loading.py``.
        learns: whether ``[network]``, ``[training]``, ``[pruning]``, tasks and features decide it too.
    """
    parts = {module: _digest_of_code(module) for module in modules}
    if learns:
        settings = project.settings
        parts["settings"] = digest_of(
            {
                "learning": settings.learning,
                "tasks": settings.tasks,
                "window": settings.ticket_window,
                "catalogue": project.source.catalogue.digest,
            }
        )
    return digest_of(parts)[:12]


def _rooms_of(group: str) -> list[str]:
    """What learns, and the room of the core that is named like the group, if one is."""
    return [room for room in ("model", "training", group) if (CORE / room).is_dir()]


@cache
def _digest_of_code(module: str) -> str:
    path = CORE / module
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()
