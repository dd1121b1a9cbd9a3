"""Group ``serving``: the day's model as a compact ranker, and whether it goes into use."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from lt4rec_assets.defs.evaluation import METRICS, PREDICTIONS
from lt4rec_assets.defs.models import SNET
from lt4rec_assets.gate import making
from lt4rec_assets.metadata import markdown_table
from lt4rec_assets.partitions import days_before
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource, ModelStoreResource
from lt4rec_core.errors import LakeError, ModelStoreError
from lt4rec_core.quality.history import record_audit
from lt4rec_core.quality.suites import CheckResult

if TYPE_CHECKING:
    from lt4rec_core.data.lake import Lake
    from lt4rec_core.serving.export import Draft
    from lt4rec_core.serving.latency import Latency
    from lt4rec_core.serving.promotion import Decision, Review, Scores
    from lt4rec_core.serving.shelf import Shelved
    from lt4rec_core.training.store import ModelStore

RANKER = dg.AssetKey(["serving", "ranker"])
NAME = RANKER.to_user_string()
PROMOTION = "promotion"
OF_THE_DAY = ("source.users", "source.videos", "training.samples", PREDICTIONS, METRICS)
OF_THE_WEEK = (
    "features.user_daily_stats",
    "features.video_daily_stats",
    "samples.clicks",
    "samples.impressions",
)
MEASURED, NEW = "yesterday's model", "the new model"


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """``ranker``, one a day."""
    return [_ranker(project)]


def _ranker(project: Project) -> dg.AssetsDefinition:
    days = project.partitions.from_second_day
    deps = [dg.AssetDep(SNET, partition_mapping=days_before(0, 0))]
    deps += [dg.AssetDep(name.split("."), partition_mapping=days_before(0, 0)) for name in OF_THE_DAY]
    deps += [dg.AssetDep(name.split("."), partition_mapping=days_before(-6, 0)) for name in OF_THE_WEEK]

    @dg.asset(
        key=RANKER,
        group_name="serving",
        partitions_def=days,
        deps=deps,
        check_specs=[
            dg.AssetCheckSpec(
                PROMOTION,
                asset=RANKER,
                description="The ranker goes into use: the floors of [serving] in lt4rec.toml hold. "
                "Where they do not, the last good one stays in use.",
                partitions_def=days,
            )
        ],
        kinds={"pytorch", "numba"},
    )
    def ranker(
        context: dg.AssetExecutionContext, lake: LakeResource, store: ModelStoreResource
    ) -> dg.MaterializeResult:
        """The day's sNET made small, with every user's and video's features as known after the day.

        It scores all tasks in one pass and ranks by Eq. 3. It is always made; it goes into use unless it
        falls under a floor.
        """
        day = date.fromisoformat(context.partition_key)
        with making(project, lake, NAME, day, context):
            opened, models = lake.open(project), store.open()
            made = _Export(project, opened, models, day, context)
            digest = made.publish()
            made.prune()
            record_audit(opened, NAME, day, [made.result], run_id=context.run.run_id, is_gate=False)
            served = made.served_day()
        return dg.MaterializeResult(
            metadata={"served_day": served, "ranker_digest": digest, **made.describe()},
            check_results=[
                dg.AssetCheckResult(
                    check_name=PROMOTION,
                    passed=made.decision.promoted,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=f"{made.told}. In use: {served}.",
                    metadata={"rules": _rules(made.decision)},
                )
            ],
            data_version=dg.DataVersion(digest),
        )

    return ranker


class _Export:
    """One day's ranker on its way: drafted, judged, measured."""

    def __init__(self, project: Project, lake: "Lake", models: "ModelStore", day: date, context: Any) -> None:
        from lt4rec_assets.learning import SAMPLES, Learning
        from lt4rec_core.serving import latency
        from lt4rec_core.serving.entities import read_entities
        from lt4rec_core.serving.export import draft
        from lt4rec_core.serving.promotion import DayRows, decide, review
        from lt4rec_core.serving.shelf import standing

        self.project, self.models, self.day, self._log = project, models, day, context.log
        learning, config = Learning.of(project), project.settings.serving
        catalogue = project.source.catalogue
        entities, self.read = read_entities(lake, project.tables, catalogue, day, project.sql_params(day))
        chain = learning.chain("snet", models)
        self.draft: Draft = draft(models, chain, day, entities, project.source.time_zone)
        samples, self.read[SAMPLES] = learning.samples(lake, day, day, keep=("user_id",))
        measured, model = _measured(lake, day, len(samples))
        rows, constant = DayRows.of(samples, _users(samples)), _constant_mse(lake, day)
        self._stood = standing(project.settings.home, before=day)
        self.review: Review = review(config, rows, self._scored(samples, measured, model), constant)
        in_use = self.review.in_use
        self.decision: Decision = decide(
            config,
            rows,
            {MEASURED: measured, NEW: self.draft.ranker.score(samples)},
            constant,
            (date.fromisoformat(in_use[0][:10]), in_use[1]) if in_use else None,
            seed=day.toordinal(),
        )
        self.latencies: Mapping[int, Latency] = latency.measure(
            self.draft.ranker, samples, config.latency_seconds
        )

    def _scored(self, samples: Any, measured: "Scores", model: str) -> "Iterator[tuple[str, Scores]]":
        """The rankers that stand, the one in use first, and their scores; not those that are damaged."""
        from lt4rec_core.serving.ranker import Ranker

        for one in self._stood:
            try:
                if one.manifest["identity"]["model"] == model:
                    yield _name(one), measured  # what was measured is this ranker
                else:
                    yield _name(one), Ranker.load(one.folder, self.project.source.catalogue).score(samples)
            except ModelStoreError as error:
                self._log.warning(f"the ranker of {one.day} cannot be compared with: {error}")

    def publish(self) -> str:
        """Make the ranker exist, with the decision beside it in the same step."""
        from lt4rec_core.serving.export import publish

        rules = [{"rule": f.rule, "holds": f.holds, "message": f.message} for f in self.decision.findings]
        in_use = self.decision.in_use
        beside = {
            "promotion": {
                "promoted": self.decision.promoted,
                "reason": self.decision.reason,
                "rules": rules,
                "in_use_before": in_use.isoformat() if in_use else None,
            },
            "withdrawn": [
                {
                    "day": one.day.isoformat(),
                    "digest": one.digest,
                    "reason": self.review.withdrawn[_name(one)],
                }
                for one in self._stood
                if _name(one) in self.review.withdrawn
            ],
            "data_versions": self.read,
            "bytes": self.draft.sizes,
            "latency_ms": {str(size): one._asdict() for size, one in self.latencies.items()},
        }
        return publish(self.models, self.draft, beside)

    def prune(self) -> None:
        """Remove rankers that are older than ``[serving] keep_days``; this one and the one in use stay."""
        from lt4rec_core.serving.shelf import prune

        settings = self.project.settings
        if gone := prune(settings.home, settings.serving.keep_days, self.day):
            self._log.info(f"removed the rankers of {', '.join(map(str, gone))}; [serving] keep_days")

    @property
    def told(self) -> str:
        """What was decided: about this ranker, and about earlier ones."""
        withdrawn = [f"withdrawn: {name}, {reason}" for name, reason in self.review.withdrawn.items()]
        return ". ".join([self.decision.reason, *withdrawn, *filter(None, [self.review.spared])])

    def served_day(self) -> str:
        """Which day's ranker is in use now."""
        from lt4rec_core.serving.shelf import served_folder

        folder = served_folder(self.project.settings.home)
        return folder.name if folder else "none yet"

    @property
    def result(self) -> CheckResult:
        """For the history of checks."""
        decision = self.decision
        return CheckResult(
            name=PROMOTION,
            severity="warning",
            passed=decision.promoted,
            observed={f.rule: f.holds for f in decision.findings},
            message=self.told,
        )

    def describe(self) -> dict[str, Any]:
        """Numbers that plot over days, and tables of what they are made of."""
        from lt4rec_core.serving.scorer import dense_multiply_adds, multiply_adds, widths_of

        drafted, ranker = self.draft, self.draft.ranker
        n_tasks = len(ranker.tasks)
        dense = dense_multiply_adds(ranker.widths, n_tasks)
        dense_bytes = 4 * (dense + n_tasks * (sum(ranker.widths[1:]) + 1))
        widths = widths_of(ranker.heads)
        layers = [
            {"task": task, "neurons": widths[task], "run as": ", ".join(ranker.kinds[task])}
            for task in ranker.tasks
        ]
        numbers: dict[str, Any] = {
            "multiply_adds": multiply_adds(ranker.heads),
            "multiply_adds_of_dense_trunks": dense,
            "bytes": sum(drafted.sizes.values()),
            **{f"bytes_{part}": size for part, size in drafted.sizes.items()},
            "bytes_of_dense_trunks": dense_bytes,
            "users": len(ranker.entities["user"]),
            "videos": len(ranker.entities["video"]),
        }
        for size, one in self.latencies.items():
            numbers |= {f"latency_ms_p50_{size}": one.p50, f"latency_ms_p99_{size}": one.p99}
        return {
            "promoted": self.decision.promoted,
            "reason": self.decision.reason,
            "withdrawn": ", ".join(self.review.withdrawn) or "none",
            **numbers,
            "rules": _rules(self.decision),
            "layers": markdown_table(layers),
        }


def _rules(decision: "Decision") -> dg.MarkdownMetadataValue:
    return markdown_table(
        [{"rule": f.rule, "holds": "yes" if f.holds else "NO", "found": f.message} for f in decision.findings]
    )


def _measured(lake: "Lake", day: date, n: int) -> tuple["Scores", str]:
    """What yesterday's sNET said of the day's samples, in their order, and its digest."""
    import pyarrow.compute as pc

    columns = ["model", "p_ctr", "p_cvr", "model_digest"]
    rows = lake.open(PREDICTIONS, day, day, columns).read_all()
    rows = rows.filter(pc.equal(rows["model"], "snet"))
    if len(rows) != n:
        raise LakeError(
            f"{PREDICTIONS} of {day} has {len(rows)} rows of snet for {n} samples. "
            "Were the samples made again since? Materialise the predictions of the day again."
        )
    scores = {task: rows[f"p_{task}"].to_numpy() for task in ("ctr", "cvr")}
    return scores, rows["model_digest"][0].as_py()


def _constant_mse(lake: "Lake", day: date) -> float | None:
    """CVR's MSE of the mean label of the days before; None where there is no label."""
    rows = lake.open(METRICS, day, day, ["model", "task", "metric", "slice", "value"]).read_all().to_pylist()
    wanted = {"model": "constant", "task": "cvr", "metric": "mse", "slice": "all"}
    return next((row["value"] for row in rows if wanted.items() <= row.items()), None)


def _name(one: "Shelved") -> str:
    """Two chains may each have a ranker of a day."""
    return f"{one.day} {one.digest[:8]}"


def _users(samples: Any) -> list[str]:
    users: list[str] = samples.kept["user_id"].to_pylist()
    return users
