"""``make demo``: simulate 14 days, materialise the graph, and say what came out of it."""

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from lt4rec_assets.backfill import run_backfill
from lt4rec_assets.home import writing
from lt4rec_assets.outcome import closing_lines
from lt4rec_assets.settings import Settings, read_settings
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.places import Place, put_text_once, require_shareable

SIZE = """\
# Written by `lt4rec demo`: a network of a size that fits the demo's days. Without this file the defaults
# hold (embedding_dim 32, hidden [512, 256, 128]); a change starts new tickets and new chains of models.

[network]
embedding_dim = 16
hidden = [256, 128, 64]
"""
IGNORED = ("LT4REC_SOURCE", "LT4REC_SOURCE_PATH", "LT4REC_START", "LT4REC_END")
"""The demo shows the simulator's own days, whatever the shell is set to."""

COLUMNS = {
    "CTR AUC (up is good)": {
        "sNET": ("snet", "ctr", "auc"),
        "baseline": ("baseline", "ctr", "auc"),
        "reachable": ("oracle", "ctr", "auc"),
    },
    "CVR MSE (down is good)": {
        "sNET": ("snet", "cvr", "mse"),
        "baseline": ("baseline", "cvr", "mse"),
        "constant": ("constant", "cvr", "mse"),
        "reachable": ("oracle", "cvr", "mse"),
    },
}
METRICS = """
    select dt, is_after_ticket_window, model, task, metric, value
    from evaluation.daily_metrics
    where slice = 'all'
    order by dt
"""


def run_demo() -> int:
    """Run the demo in the configured home; 0 when everything is green."""
    _choose_size(read_settings(ignore=IGNORED).home)
    settings = read_settings(ignore=IGNORED)
    if settings.end is None:
        raise AssertionError("a generated source has a last day of its own")
    started = monotonic()
    _say(f"lt4rec demo: {settings.start} to {settings.end}, simulated, into {settings.home}")
    outcome = run_backfill(settings, settings.start, settings.end, say=_say)
    for line in (*closing_lines(outcome), "", *_counts(settings), "", *_table(settings), ""):
        _say(line)
    _say(f"{monotonic() - started:.0f} s. Everything above is in the UI: make ui, then http://127.0.0.1:3000")
    return 0 if outcome.ok else 1


def _choose_size(home: Place) -> None:
    """Give a new home the demo's network; one that is there keeps its own."""
    with writing(home):
        require_shareable(home)
        if not (home / "home.json").is_file():
            put_text_once(home / "lt4rec.toml", SIZE)


def _counts(settings: Settings) -> Iterable[str]:
    rows = _ask(
        settings,
        """
        select
            count(*) as delivered,
            count(*) filter (where reject_reason is null) as accepted,
            count(*) filter (where reject_reason is null and is_click) as clicks
        from samples.screened_impressions
        """,
    )
    row = rows[0]
    yield (
        f"{row['delivered']:,} impressions delivered, {row['accepted']:,} accepted, "
        f"{row['clicks']:,} clicks (CTR {row['clicks'] / max(row['accepted'], 1):.3f})"
    )


def _table(settings: Settings) -> Iterable[str]:
    """One line a day, and their mean; what is best reachable is known because the days are simulated."""
    widths = [10 * len(columns) for columns in COLUMNS.values()]
    yield f"{'next day':<12}" + "".join(f"{t:^{w}}" for t, w in zip(COLUMNS, widths, strict=True))
    yield f"{'':<12}" + "".join(f"{title:>10}" for columns in COLUMNS.values() for title in columns)
    days: dict[Any, dict[tuple[str, str, str], float]] = {}
    in_window = set()
    for row in _ask(settings, METRICS):
        days.setdefault(row["dt"], {})[row["model"], row["task"], row["metric"]] = row["value"]
        if not row["is_after_ticket_window"]:
            in_window.add(row["dt"])
    for day, values in days.items():
        yield _line(str(day), values) + ("  *" if day in in_window else "")
    after = [values for day, values in days.items() if day not in in_window]
    if after:
        yield _line("mean", {key: sum(v[key] for v in after) / len(after) for key in _measures()})
    yield "* tickets were found on these days; the mean leaves them out"
    yield from _tickets(settings)


def _measures() -> Iterable[tuple[str, str, str]]:
    return (measure for columns in COLUMNS.values() for measure in columns.values())


def _line(title: str, values: Mapping[tuple[str, str, str], float]) -> str:
    return f"{title:<12}" + "".join(_number(values.get(measure)) for measure in _measures())


def _tickets(settings: Settings) -> Iterable[str]:
    from lt4rec_assets.learning import Learning
    from lt4rec_assets.project import Project
    from lt4rec_core.model.masks import density, overlap

    learning = Learning.of(Project.of(settings))
    masks = learning.found_masks()
    for task, mask in masks.items():
        yield f"ticket of {task}: density {density(mask):.3f} of the trunk's weights"
    if len(masks) == len(settings.tasks):
        total = overlap(masks["ctr"], masks["cvr"])[-1]
        yield (
            f"overlap of the tickets (Jaccard): {total.jaccard:.3f}, by chance {total.jaccard_by_chance:.3f}"
        )


def _ask(settings: Settings, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(connect(settings.home), text).to_arrow_table().to_pylist()
    return rows


def _number(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.4f}"


def _say(line: str) -> None:
    print(line, flush=True)
