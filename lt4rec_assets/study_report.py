"""What a study found, as Markdown and pictures: what docs/RESULTS.md quotes and shows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lt4rec_assets.findings import TICKETS, figure_four, figure_three, scarcity_curve
from lt4rec_assets.project import Project
from lt4rec_assets.research import Research
from lt4rec_assets.settings import read_settings
from lt4rec_assets.study import DATA_SEEDS, GRID_SHARE, Member, members
from lt4rec_assets.trials import Cell as Trial
from lt4rec_core.data.lake import Lake
from lt4rec_core.errors import Lt4recError
from lt4rec_core.experiments.comparison import Comparison, as_table, compare
from lt4rec_core.experiments.records import Cell
from lt4rec_core.experiments.tables import complete_rows
from lt4rec_core.model.variants import SCARCITY_ROWS, SINGLE_TASK, VARIANTS

CONTROLS = {
    "hard_sharing": ("s_weight", "s_weight_fixed_sparsity", "s_weight_rewind"),
    "random_masks_independent": ("s_weight",),
    "random_masks_fixed_sparsity": (
        "s_weight_fixed_sparsity",
        "s_weight_taylor",
        "s_weight_fisher",
        "s_weight_rewind",
        "s_weight_global",
        "s_weight_gradual",
        "s_weight_long",
    ),
    "hard_sharing_together": ("s_weight_together",),
    "random_masks_together": ("s_weight_together",),
    "random_masks_4percent": ("s_weight_4percent", "s_weight_4percent_taylor"),
}
"""Rows to be compared with a control: as good as hard sharing with a fifth of a trunk; better than chance."""

SCARCE_CONTROLS = {
    "hard_sharing": ("s_weight", "s_weight_fixed_sparsity"),
    "random_masks_independent": ("s_weight",),
    "random_masks_fixed_sparsity": ("s_weight_fixed_sparsity",),
}
"""The same where labels are scarce."""


def report(into: Path, kuairand: Path | None) -> str:
    """Every home's finished races, and what several homes say together. Nothing is trained."""
    homes = {member.name: member for member in members(into.resolve(), kuairand)}
    parts = [f"# Study in {into.name}"]
    for name in ("simulator", "kuairand", "kuairand-full"):
        if name in homes and (research := _open(homes[name], into)):
            parts += [f"## {name}", *_of_home(research)]
    parts += ["## simulator, one seed on each of several data seeds", *_of_data_seeds(homes, into)]
    parts += ["## worlds of the simulator", *_of_worlds(homes, into)]
    return "\n\n".join(parts) + "\n"


def pictures(into: Path, kuairand: Path | None, folder: Path) -> list[Path]:
    """Figures 3 and 4 and the scarcity curve of the research homes, as PNG files.

    Args:
        into: the folder of the homes.
        kuairand: where the KuaiRand logs lie; None leaves them out.
        folder: where to write; made if it is not there.

    Returns:
        The files. A figure whose cells are not finished is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    homes = {member.name: member for member in members(into.resolve(), kuairand)}
    for name in ("simulator", "kuairand"):
        if name in homes and (research := _open(homes[name], into)):
            for figure, png in _figures(research):
                written.append(folder / f"{name}-{figure}.png")
                written[-1].write_bytes(png)
    return written


def _figures(research: Research) -> Iterator[tuple[str, bytes]]:
    if research.race().records.has_frozen(TICKETS):
        tickets = research.tickets(TICKETS)
        if all(tickets.values()):
            yield "sharing", figure_three(tickets)
            yield "pruning", figure_four(tickets)
    cells = {share: research.finished_cells(share)[0] for share in (1.0, *research.config.label_shares)}
    if sum(bool(found) for found in cells.values()) > 1:
        yield "scarcity", scarcity_curve(cells)


def _open(member: Member, into: Path) -> Research | None:
    home = into / member.name
    if not (home / "experiments").is_dir():
        return None
    settings = read_settings({**member.env, "LT4REC_HOME": str(home)})
    return Research.of(Project.of(settings), Lake(home))


def _of_home(research: Research) -> Iterator[str]:
    cells, missing = research.finished_cells(1.0)
    days = ", ".join(map(str, research.split.test))
    yield f"Test days {days}; rows not complete: {', '.join(missing) or 'none'}."
    if research.best:
        yield "Best reachable: " + ", ".join(f"{name} {value:.5f}" for name, value in research.best.items())
    if set(SINGLE_TASK) - {cell.variant for cell in cells}:
        yield "Nothing to compare with yet: the single-task rows are not complete."
    else:
        yield "### Table 2\n\n" + as_table(research.compare(1.0, cells))
    for control, rows in CONTROLS.items():
        if text := _against(control, rows, cells):
            yield f"### Against {control}\n\n{text}"
    for share in research.config.label_shares:
        scarce = research.finished_cells(share)[0]
        if {cell.variant for cell in scarce} >= set(SINGLE_TASK):
            yield f"### {share:.0%} of the CVR labels\n\n" + as_table(research.compare(share, scarce))
            for control, rows in SCARCE_CONTROLS.items():
                if text := _against(control, rows, scarce):
                    yield f"#### Against {control}\n\n{text}"


def _against(control: str, rows: Sequence[str], cells: Sequence[Cell]) -> str:
    there = {cell.variant for cell in cells}
    wanted = {control, *rows} & there
    if control not in there or len(wanted) < 2:
        return ""
    references = dict.fromkeys(("cvr_mse", "ctr_auc"), control)
    return as_table(compare([cell for cell in cells if cell.variant in wanted], references=references))


def _of_data_seeds(homes: dict[str, Member], into: Path) -> Iterator[str]:
    found: list[Cell] = []
    for name in ("simulator", *(f"simulator-data-{k}" for k in range(1, DATA_SEEDS))):
        research = _open(homes[name], into)
        if research is not None:
            found += [cell for row in VARIANTS if (cell := research.finished(Trial(1.0, row, 0)))]
    cells = complete_rows(found, DATA_SEEDS)
    yield (
        as_table(compare(cells))
        if {"base_ctr", "base_cvr"} <= {c.variant for c in cells}
        else "Not complete."
    )


def _of_worlds(homes: dict[str, Member], into: Path) -> Iterator[str]:
    lines = ["| world | labels | row | CVR MSE to base_cvr | 95 % | CTR AUC to base_ctr | 95 % |"]
    lines += ["|" + "---|" * 7]
    for name, member in homes.items():
        is_world = name == "simulator" or name.startswith("simulator-taste")
        research = _open(member, into) if is_world else None
        if research is None:
            continue
        for share in (1.0, GRID_SHARE):
            cells = [c for c in research.finished_cells(share)[0] if c.variant in SCARCITY_ROWS]
            try:
                compared = compare(cells)
            except Lt4recError:
                continue
            lines += [
                f"| {name} | {share:.0%} | {row} | {_told(compared, row, 'cvr_mse', True)} "
                f"| {_told(compared, row, 'ctr_auc', False)} |"
                for row in SCARCITY_ROWS[2:]
                if any(row == found.variant for found in compared)
            ]
    yield "\n".join(lines)


def _told(compared: Sequence[Comparison], row: str, metric: str, relative: bool) -> str:
    """Difference and interval as two cells of a table."""
    for found in compared:
        if (found.variant, found.metric) == (row, metric):
            scale, shown = (found.reference_value, "+.2%") if relative else (1.0, "+.5f")
            low, high = found.ci_low / scale, found.ci_high / scale
            return f"{found.difference / scale:{shown}} | {low:{shown}} … {high:{shown}}"
    return " | "
