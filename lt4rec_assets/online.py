"""Table 3 of one home, as tables in the lake and a picture: the body of ``experiments/online_simulation``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from lt4rec_assets.findings import publish_rows
from lt4rec_assets.metadata import markdown_table, picture
from lt4rec_assets.research import Research
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.simulator import Requests
from lt4rec_core.data.sources import generator_module
from lt4rec_core.evaluation.plots import exponents_picture
from lt4rec_core.experiments import logged as logs
from lt4rec_core.experiments import online
from lt4rec_core.experiments.policies import (
    BEYOND,
    ORACLE,
    TABLE_3,
    Exponents,
    Policy,
    RowScores,
    rows_of,
    score_requests,
)
from lt4rec_core.experiments.rankers import fitted_weights
from lt4rec_core.experiments.ratios import Compared, Ratio, by_metric, compare_policies
from lt4rec_core.serving.entities import Entities, read_entities

ONLINE, EXPONENTS = "experiments.online_simulation", "experiments.online_exponents"
POLICIES = (*TABLE_3, *BEYOND)
DRAWN = (TABLE_3[0].name, TABLE_3[3].name, ORACLE)
"""What the picture shows."""

Say = Callable[[str], None]


def why_not_simulated(research: Research) -> str:
    """Why this home's users cannot be simulated; empty where they can."""
    source = research.learning.project.source
    if source.generator and hasattr(generator_module(source.generator), "draw_requests"):
        return ""
    return (
        f"Users of the source {source.name!r} cannot be simulated: it replays logs, and nobody knows how "
        "they would have answered to other videos. Only the metrics on logged days apply; "
        "LT4REC_SOURCE=simulator has the rest."
    )


@dataclass
class Table3:
    """What every policy did, seed by seed."""

    research: Research
    lake: Lake
    config: online.OnlineConfig
    policies: Sequence[Policy] = POLICIES
    say: Say = lambda line: None
    simulated: dict[int, dict[str, dict[str, Ratio]]] = field(default_factory=dict)
    """Seed to policy to metric; empty where users cannot be simulated."""
    logged: dict[int, dict[str, dict[str, Ratio]]] = field(default_factory=dict)
    swept: dict[int, dict[tuple[str, Exponents], dict[str, float]]] = field(default_factory=dict)

    def run(self) -> None:
        """Fit what is not fitted, rank and measure.

        Raises:
            LakeError: a test day, or the day before one, is not there.
            TrainingError, MaskError, ModelStoreError: a row cannot be fitted.
        """
        research, is_simulated = self.research, not why_not_simulated(self.research)
        split, race = research.split, research.race()
        samples = research.learning.samples(self.lake, split.test[0], split.test[-1], keep=logs.KEPT)[0]
        truth = logs.read_truth(self.lake, split.test, samples) if research.best else None
        test = logs.Logged.of(samples, truth)
        known = {day: self._entities(day - timedelta(days=1)) for day in split.test}
        zone = research.learning.project.source.time_zone
        for seed in range(research.config.seeds):
            requests = {day: self._requests(day, seed) for day in split.test} if is_simulated else {}
            of_requests: dict[date, dict[str, Any]] = {day: {} for day in requests}
            of_log: dict[str, Any] = {}
            for row in rows_of(self.policies):
                weights = fitted_weights(race, row, seed)
                for day, asked in requests.items():
                    ranker = weights.ranker(known[day], day - timedelta(days=1), zone)
                    of_requests[day][row] = score_requests(ranker, asked)
                first = split.test[0]
                of_log[row] = weights.ranker(known[first], first - timedelta(days=1), zone).score(samples)
                self.say(f"seed {seed}: {row} has ranked")
            self._measure(seed, requests, of_requests, test, of_log)

    def _measure(
        self, seed: int, requests: Mapping[date, Requests], of_requests: Mapping[date, RowScores],
        test: logs.Logged, of_log: RowScores,
    ) -> None:  # fmt: skip
        self.logged[seed] = logs.logged_outcomes(test, of_log, self.policies, seed)
        if requests:
            days = [online.Day(requests[day], of_requests[day]) for day in requests]
            self.simulated[seed] = online.simulate(days, self.policies, self.config.n_shown)
            self.swept[seed] = online.sweep(days, self.policies, self.config.n_shown)

    def _entities(self, day: date) -> dict[str, Entities]:
        project = self.research.learning.project
        tables, catalogue = project.tables, project.source.catalogue
        return read_entities(self.lake, tables, catalogue, day, project.sql_params(day))[0]

    def _requests(self, day: date, seed: int) -> Requests:
        source, config = self.research.learning.project.source, self.config
        world: Any = generator_module(source.generator or "")
        found: Requests = world.draw_requests(
            day, source.generator_settings, config.n_requests, config.n_candidates, seed
        )
        return found

    def compared(self) -> Iterator[tuple[str, Compared]]:
        """``simulated`` or ``logged``, and a policy's metric against the single-task models'."""
        for data, found in (("simulated", self.simulated), ("logged", self.logged)):
            if found:
                for each in compare_policies(by_metric(found), self.policies[0].name):
                    yield data, each


def publish_online(research: Research, lake: Lake, config: online.OnlineConfig, say: Say) -> dict[str, Any]:
    """Run Table 3 and write it into the lake; describe it.

    Raises:
        As ``Table3.run``.
    """
    table = Table3(research, lake, config, say=say)
    table.run()
    day = research.split.test[-1]
    rows = {policy.name: policy for policy in table.policies}
    found = [_row(day, data, each, rows.get(each.policy)) for data, each in table.compared()]
    told = {
        **publish_rows(research, lake, ONLINE, found, day),
        "table_3": markdown_table(_shown(found, "simulated", online.METRICS)),
        "logged": markdown_table(_shown(found, "logged", logs.METRICS)),
    }
    if reason := why_not_simulated(research):
        say(reason)
        return {**told, "simulated": False, "why_not_simulated": reason}
    swept = list(_swept(day, table))
    publish_rows(research, lake, EXPONENTS, swept, day)
    curves = {exponent: _curves(swept, exponent) for exponent in "abc"}
    return {
        **told,
        "simulated": True,
        "requests": config.n_requests * len(research.split.test),
        "exponents": picture(exponents_picture(curves), "view time against the exponents of Eq. 3"),
        "best_exponents": markdown_table([_best(swept, name) for name in (*rows, ORACLE)]),
    }


def _row(day: date, data: str, found: Compared, policy: Policy | None) -> dict[str, Any]:
    plain = {name: None if value != value else value for name, value in asdict(found).items()}
    beside = {"ctr_row": policy.ctr if policy else None, "cvr_row": policy.cvr if policy else None}
    return {"dt": day, "data": data, **plain, **beside}


def _shown(rows: Sequence[dict[str, Any]], data: str, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """One line per policy: each metric with its difference to the reference."""
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["data"] == data and row["metric"] in metrics:
            line = lines.setdefault(row["policy"], {"policy": row["policy"]})
            difference = "" if row["relative"] is None else f" ({row['relative']:+.2%})"
            line[row["metric"]] = f"{row['value']:.5g}{difference}"
    names = ["policy", *(m for m in metrics if any(m in line for line in lines.values()))]
    return [{name: line.get(name) for name in names} for line in lines.values()]


def _swept(day: date, table: Table3) -> Iterator[dict[str, Any]]:
    """The mean over seeds at each setting of the exponents."""
    n = len(table.swept)
    for name, exponents in table.swept[0]:
        each = [found[name, exponents] for found in table.swept.values()]
        means = {metric: sum(one[metric] for one in each) / n for metric in online.METRICS}
        yield {"dt": day, "policy": name, **dict(zip("abc", exponents, strict=True)), "n_seeds": n, **means}


def _best(swept: Sequence[dict[str, Any]], policy: str) -> dict[str, Any]:
    """The setting with the longest expected view time, picked on the requests that it is measured on.

    Only the exponents' ratios order anything: of equal ones that whose largest exponent is 1 is told.
    """
    own = (row for row in swept if row["policy"] == policy)
    best = max(own, key=lambda row: (row["expected_view_time"], max(row["a"], row["b"], row["c"]) == 1))
    return {name: value for name, value in best.items() if name != "dt"}


def _curves(swept: Sequence[dict[str, Any]], exponent: str) -> dict[str, tuple[list[float], list[float]]]:
    """Expected view time against one exponent, the others at 1."""
    others = [name for name in "abc" if name != exponent]
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for row in swept:
        if row["policy"] in DRAWN and all(row[other] == 1 for other in others):
            x, y = curves.setdefault(row["policy"], ([], []))
            x.append(row[exponent])
            y.append(row["expected_view_time"])
    return curves
