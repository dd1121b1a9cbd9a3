"""Group ``evaluation``: day D scored by the models of day D-1, and how good that was."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from lt4rec_assets.defs.models import BASELINE, SNET, Kind
from lt4rec_assets.gate import GateConfig, check_day, making, publish_gated
from lt4rec_assets.labels import code_version
from lt4rec_assets.metadata import (
    describe_lineage,
    describe_published,
    drawing,
    markdown_table,
    unless_it_fails,
)
from lt4rec_assets.partitions import days_before
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource, ModelStoreResource
from lt4rec_assets.tables import definition_of, deps_of, run_table, table_asset

if TYPE_CHECKING:
    import pyarrow as pa

    from lt4rec_core.data.lake import Lake, Staged
    from lt4rec_core.data.lineage import Origin

PREDICTIONS = "evaluation.predictions"
METRICS = "evaluation.daily_metrics"
MODELS: tuple[Kind, ...] = ("snet", "baseline")


class MetricsConfig(dg.Config):
    """How the intervals are made."""

    n_replicates: int = Field(
        default=200,
        ge=20,
        le=10_000,
        description="Bootstrap replicates over users behind each 95 % interval, from 20 to 10,000. More "
        "replicates steady the ends of the intervals and cost time in proportion.",
    )


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """Predictions behind a gate, then metrics and calibration of them."""
    return [
        _predictions(project),
        _daily_metrics(project),
        table_asset(project, "evaluation.calibration", from_second_day=True, shown=_calibration_shown),
    ]


def _predictions(project: Project) -> dg.AssetsDefinition:
    yesterday = days_before(-1, -1)
    scoring = ("model", "training/daily.py", "training/trainer.py", "data/loading.py")
    version = code_version(project, *scoring, "evaluation/predictions.py", learns=True)

    @dg.asset(
        **definition_of(project, PREDICTIONS, from_second_day=True, python_version=version),
        deps=[
            dg.AssetDep(["training", "samples"], partition_mapping=days_before(0, 0)),
            dg.AssetDep(SNET, partition_mapping=yesterday),
            dg.AssetDep(BASELINE, partition_mapping=yesterday),
        ],
        kinds={"pytorch", "greatexpectations"},
    )
    def predictions(
        context: dg.AssetExecutionContext, config: GateConfig, lake: LakeResource, store: ModelStoreResource
    ) -> Iterator[Any]:
        day = date.fromisoformat(context.partition_key)
        with making(project, lake, PREDICTIONS.replace(".", "/"), day, context):
            waivers = config.for_day(PREDICTIONS, day)
            opened = lake.open(project)
            staged, digests = _score(project, opened, store, day)
            shown = {**digests, **describe_lineage(project, predictions_lineage(project))}
            yield from publish_gated(project, opened, staged, shown, waivers, context.run.run_id)

    return predictions


def _score(
    project: Project, lake: "Lake", store: ModelStoreResource, day: date
) -> tuple["Staged", dict[str, str]]:
    """Stage the day's samples, scored by yesterday's models."""
    import pyarrow as pa

    from lt4rec_assets.learning import SAMPLES, Learning
    from lt4rec_core.data.lake import arrow_schema
    from lt4rec_core.data.streaming import in_order
    from lt4rec_core.evaluation.predictions import COPIED, predictions_table
    from lt4rec_core.training.daily import score_day

    learning, models = Learning.of(project), store.open()
    samples, version = learning.samples_or_stream(lake, day, day, keep=COPIED)
    declared, digests = project.tables[PREDICTIONS], dict[str, str]()

    def batches() -> Iterator["pa.RecordBatch"]:
        for kind in sorted(MODELS):
            chain = learning.chain(kind, models)
            for block in in_order(samples, COPIED):
                scores, digest = score_day(models, chain, day - timedelta(days=1), block)
                digests[f"{kind}_digest"] = digest
                yield from predictions_table(declared, block.kept, [(kind, scores, digest)]).to_batches()

    rows = pa.RecordBatchReader.from_batches(arrow_schema(declared.columns), batches())
    return lake.stage(PREDICTIONS, day, rows, {SAMPLES: version}), digests


def predictions_lineage(project: Project) -> dict[str, list["Origin"]]:
    """Python fills the table: what it copies comes from the samples, a prediction from every feature."""
    from lt4rec_assets.learning import SAMPLES
    from lt4rec_core.evaluation.predictions import COPIED

    features = [(SAMPLES, feature.column) for feature in project.source.catalogue.features]
    made = {f"p_{task}": features for task in (*project.settings.tasks, "ctcvr")}
    copied = {name: [(SAMPLES, name)] for name in COPIED}
    return {c.name: (copied | made).get(c.name, []) for c in project.tables[PREDICTIONS].columns}


def metrics_lineage(project: Project) -> dict[str, tuple["Origin", ...]]:
    """What SQL says; the intervals, which it leaves to Python, come from what the value does."""
    by_sql = project.lineage(METRICS)
    return {**by_sql, **dict.fromkeys(("ci_low", "ci_high"), by_sql["value"])}


def _daily_metrics(project: Project) -> dg.AssetsDefinition:
    measuring = ("evaluation/report.py", "evaluation/metrics.py", "evaluation/uncertainty.py")

    @dg.asset(
        **definition_of(
            project, METRICS, from_second_day=True, python_version=code_version(project, *measuring)
        ),
        deps=deps_of(project, project.tables[METRICS], up_to_the_day=("training.samples",)),
        kinds={"duckdb", "sql"},
    )
    def daily_metrics(
        context: dg.AssetExecutionContext, config: MetricsConfig, lake: LakeResource
    ) -> dg.MaterializeResult:
        from lt4rec_core.evaluation.report import day_metrics

        day = date.fromisoformat(context.partition_key)
        with making(project, lake, METRICS.replace(".", "/"), day, context):
            opened = lake.open(project)
            points, read = _points(project, opened, day)
            scored = opened.open(PREDICTIONS, day, day).read_all()
            truth = (
                opened.open("source.truth", day, day).read_all() if "source.truth" in project.tables else None
            )
            metrics = day_metrics(points, scored, truth, config.n_replicates)
            published = opened.publish(opened.stage(METRICS, day, metrics.to_reader(), read))
            checks = check_day(project, opened, published, context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                **describe_published(project, published, read),
                **describe_lineage(project, metrics_lineage(project)),
                **_headline(metrics.to_pylist()),
                **unless_it_fails("pictures", lambda: _pictures(scored, day)),
            },
            check_results=checks,
            data_version=dg.DataVersion(published.digest),
        )

    return daily_metrics


def _points(project: Project, lake: "Lake", day: date) -> tuple["pa.Table", Mapping[str, int]]:
    """The exact values that SQL gives, and the versions it read; the intervals are still empty."""
    import pyarrow.parquet as pq

    staged = run_table(project, lake, METRICS, day)
    try:
        return pq.read_table(staged.path), staged.inputs
    finally:
        lake.discard(staged)


def _calibration_shown(staged: "Staged") -> dict[str, Any]:
    """Predicted against actual, as a picture per task."""
    import pyarrow.parquet as pq

    from lt4rec_core.evaluation.sketches import calibration_sketches

    sketches = calibration_sketches(pq.read_table(staged.path), str(staged.day))
    return {name: drawing(svg, name.replace("_", " of ")) for name, svg in sketches.items()}


def _pictures(scored: "pa.Table", day: date) -> dict[str, Any]:
    """ROC and watch ratios of the day."""
    from lt4rec_core.evaluation.sketches import day_sketches

    return {f"{name}_picture": drawing(svg, name) for name, svg in day_sketches(scored, str(day)).items()}


def _headline(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """AUC and MSE as numbers that plot over days, everything of slice ``all`` as a table."""
    overall = [row for row in rows if row["slice"] == "all"]
    numbers = {
        f"{row['model']}_{row['task']}_{row['metric']}": row["value"]
        for row in overall
        if row["metric"] in ("auc", "mse") and row["value"] is not None
    }
    columns = ("model", "task", "metric", "value", "ci_low", "ci_high", "n")
    return {**numbers, "metrics": markdown_table([{c: row[c] for c in columns} for row in overall])}
