"""Rankers on disk: which were promoted and still stand, which is in use, and which are old enough to go.

All of it follows from the manifests. A day's manifest says whether its own ranker was promoted, and which
earlier ones it withdrew because they fell below a floor on its samples; a ranker that is made otherwise is
another one, and stands until it is measured. So no pointer can disagree with what was decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from lt4rec_core.data.places import Place, place, remove_tree
from lt4rec_core.training import modelfile
from lt4rec_core.training.store import ModelStore

KIND = "ranker"


@dataclass(frozen=True)
class Shelved:
    """One ranker on disk."""

    day: date
    folder: Place
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """What a withdrawal names."""
        return str(self.manifest["digest"])

    @property
    def is_promoted(self) -> bool:
        """Whether its own day let it into use."""
        return bool(self.manifest.get("promotion", {}).get("promoted"))


def shelved(home: str | Place, before: date | None = None) -> Iterator[Shelved]:
    """Every ranker of a home, of whatever chain; only of days before ``before`` where that is given.

    Raises:
        ModelStoreError: a manifest is damaged.
    """
    for path in (ModelStore(place(home)).root / KIND).glob(f"*/*/{modelfile.MANIFEST}"):
        day = date.fromisoformat(path.parent.name)
        if before is None or day < before:
            manifest = modelfile.read_manifest(path.parent, f"the ranker of {day}")
            if manifest is not None:  # removed since
                yield Shelved(day, path.parent, manifest)


def standing(home: str | Place, before: date | None = None) -> list[Shelved]:
    """The rankers that were promoted and not withdrawn, the one in use first.

    Of two chains with a ranker of one day the one written last comes first.

    Args:
        home: the home whose rankers are meant.
        before: as it was before this day: rankers and withdrawals of earlier days only.
    """
    found = list(shelved(home, before))
    gone = {one["digest"] for each in found for one in each.manifest.get("withdrawn", ())}
    good = [each for each in found if each.is_promoted and each.digest not in gone]
    return sorted(good, key=lambda each: (each.day, each.manifest["written_at"]), reverse=True)


def served_folder(home: str | Place, before: date | None = None) -> Place | None:
    """The ranker in use: the newest that was promoted and not withdrawn; None without one.

    Args:
        home: the home whose rankers are meant.
        before: as it was before this day.
    """
    found = standing(home, before)
    return found[0].folder if found else None


def prune(home: str | Place, keep_days: int, made: date) -> list[date]:
    """Remove rankers that are ``keep_days`` or more older than the newest, but never the one in use.

    The oldest go first: a manifest that withdraws a ranker outlives it.

    Args:
        home: the home whose rankers are meant.
        keep_days: how many days are kept, the newest included; 0 keeps all.
        made: the day that was made just now, which stays whatever its age.

    Returns:
        The days that went.
    """
    if keep_days == 0:
        return []
    found = sorted(shelved(home), key=lambda each: each.day)
    in_use = served_folder(home)
    first = found[-1].day - timedelta(days=keep_days - 1) if found else made
    old = [each for each in found if each.day < first and each.day != made and each.folder != in_use]
    for each in old:
        # Without its manifest nobody finds a ranker that is half removed.
        (each.folder / modelfile.MANIFEST).unlink(missing_ok=True)
        remove_tree(each.folder)
    return [each.day for each in old]
