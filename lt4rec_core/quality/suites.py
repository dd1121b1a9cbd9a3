"""What must hold before a gated table's day is published: named checks, and the expectations behind them.

``CHECKS`` is plain data, cheap to import: the asset graph lists checks from it. The suite of a table is built
by its function, which imports Great Expectations; each expectation names its check in ``meta``.

A check that looks at rows or beyond its own table is a file ``sql/checks/<table>_<check>.sql``:

- it selects the offenders (no rows, no fault); or
- it has a column ``is_fault`` and selects everything it measured, so that a pass shows its numbers too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lt4rec_core.catalogue import Column, FeatureCatalogue, Fragment
from lt4rec_core.quality.thresholds import Thresholds

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

Severity = Literal["critical", "warning"]

DEFAULTS: dict[str, Any] = Thresholds().as_params()
"""Thresholds, where the settings name none."""


@dataclass(frozen=True)
class CheckSpec:
    """A named check of a gated table."""

    name: str
    severity: Severity
    """A failed critical check blocks the day; a warning only reports."""

    description: str
    has_sql: bool = True
    """Whether a file in ``sql/checks/`` stands behind it."""


@dataclass(frozen=True)
class CheckResult:
    """How a check went on one day. Everything in it can be written as JSON."""

    name: str
    severity: Severity
    """As specified; critical when the check could not run."""

    passed: bool
    observed: Mapping[str, Any]
    message: str
    sample_rows: list[dict[str, Any]] = field(default_factory=list)
    """Up to five offending rows."""

    waiver: str = ""
    """Why it may have failed; empty unless it failed and was waived."""

    @property
    def blocks(self) -> bool:
        """Whether it keeps the day from being published."""
        return not self.passed and self.severity == "critical" and not self.waiver


_SCHEMA = CheckSpec(
    "schema", "critical", "Columns and types are as declared, in order; no other column.", False
)
_KEYS = CheckSpec("keys", "critical", "Every row has a key, and no key stands twice.")
_VOLUME = CheckSpec("volume", "critical", "The day has at least the smallest allowed number of rows.", False)

CHECKS: dict[str, tuple[CheckSpec, ...]] = {
    "samples.impressions": (
        _SCHEMA,
        _KEYS,
        _VOLUME,
        CheckSpec(
            "labels", "critical", "Every impression says whether it was clicked, with possible play times."
        ),
        CheckSpec(
            "references", "critical", "Impressions are exactly the delivered rows that screening accepted."
        ),
        CheckSpec("accounting", "critical", "accepted + rejected = delivered: no row is lost."),
        CheckSpec("drift", "warning", "Volume and click rate are near those of the seven days before."),
    ),
    "training.samples": (
        _SCHEMA,
        _KEYS,
        _VOLUME,
        CheckSpec(
            "labels", "critical", "Exactly clicks have a watch ratio, finite and in [0, 1], and a conversion."
        ),
        CheckSpec(
            "references",
            "critical",
            "Samples match impressions, clicked samples match conversions, conversions match clicks.",
        ),
        CheckSpec(
            "leak",
            "critical",
            "Counts, rates, history and newness are those of the seven days before, without the day itself.",
        ),
        CheckSpec("ranges", "critical", "Every bucket id lies within its embedding."),
        CheckSpec(
            "drift",
            "warning",
            "Volume, labels, shares of the new and the unknown are near those of the seven days before.",
        ),
        CheckSpec(
            "cardinality", "warning", "Features take about as many values as on the seven days before."
        ),
    ),
    "evaluation.predictions": (
        _SCHEMA,
        _KEYS,
        _VOLUME,
        CheckSpec("coverage", "critical", "Every model scored every sample of the day exactly once."),
        CheckSpec("ranges", "critical", "Scores are finite, in [0, 1], and CTCVR is CTR x CVR."),
        CheckSpec("references", "critical", "Copied labels and slices are those of the samples."),
        CheckSpec(
            "drift", "warning", "Mean scores are near those of the seven days before, and not all the same."
        ),
    ),
}
"""The gated tables and their checks, in the order they are reported."""

_PREFIX = {"samples.impressions": "impressions", "evaluation.predictions": "predictions"}


def check_file(table: str, check: str) -> str:
    """The stem of a check's file: ``samples.impressions``, ``keys`` is ``impressions_keys``."""
    return f"{_PREFIX.get(table, table.replace('.', '_'))}_{check}"


def impressions_suite(columns: tuple[Column, ...], settings: Mapping[str, Any]) -> "ExpectationSuite":
    """The expectations of ``samples.impressions``."""
    import great_expectations.expectations as gxe

    return _suite(
        "samples.impressions",
        columns,
        settings,
        [
            *_not_null("keys", "user_id", "video_id", "occurred_at"),
            *_not_null("labels", "is_click"),
            gxe.ExpectColumnValuesToBeBetween(column="duration_ms", min_value=1, meta={"check": "labels"}),
            gxe.ExpectColumnValuesToBeBetween(column="play_ms", min_value=0, meta={"check": "labels"}),
        ],
    )


def training_samples_suite(columns: tuple[Column, ...], settings: Mapping[str, Any]) -> "ExpectationSuite":
    """The expectations of ``training.samples``."""
    import great_expectations.expectations as gxe

    return _suite(
        "training.samples",
        columns,
        settings,
        [
            *_not_null("keys", "user_id", "video_id", "occurred_at"),
            *_not_null("labels", "is_click"),
            gxe.ExpectColumnValuesToBeBetween(
                column="watch_ratio", min_value=0, max_value=1, meta={"check": "labels"}
            ),
            *_not_null("leak", "is_new_user", "is_new_video"),
        ],
    )


def predictions_suite(columns: tuple[Column, ...], settings: Mapping[str, Any]) -> "ExpectationSuite":
    """The expectations of ``evaluation.predictions``."""
    import great_expectations.expectations as gxe

    scores = [
        gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=1, meta={"check": "ranges"})
        for name in ("p_ctr", "p_cvr", "p_ctcvr")
    ]
    return _suite(
        "evaluation.predictions",
        columns,
        settings,
        [
            *_not_null("keys", "model", "user_id", "video_id", "occurred_at"),
            *_not_null("ranges", "p_ctr", "p_cvr", "p_ctcvr", "model_digest"),
            *scores,
        ],
    )


SUITES: dict[str, Callable[[tuple[Column, ...], Mapping[str, Any]], "ExpectationSuite"]] = {
    "samples.impressions": impressions_suite,
    "training.samples": training_samples_suite,
    "evaluation.predictions": predictions_suite,
}


def range_fragments(catalogue: FeatureCatalogue) -> dict[str, Fragment]:
    """What tells a sample with a feature outside [0, buckets), for the check of ranges.

    ``is_outside`` is the condition, ``faulty_features`` the select-list text that names its features. The
    condition DuckDB answers by the statistics of the file, but for lists.
    """
    outside = {}
    for feature in catalogue.features:
        column, last = feature.column, catalogue.embeddings[feature.embedding] - 1
        if feature.kind == "list":
            where = f"list_min({column}) < 0 or list_max({column}) > {last}"
            where += f" or list_count({column}) < len({column})"  # a NULL among the ids
        else:
            where = f"{column} not between 0 and {last}"
        outside[column] = f"{column} is null or {where}"
    faults = ", ".join(f"case when {where} then '{column}' end" for column, where in outside.items())
    named = Column("faulty_features", "varchar[]", "columns whose id has no embedding")
    return {
        "is_outside": Fragment(f"({' or '.join(outside.values())})", ()),
        "faulty_features": Fragment(
            f"list_filter([{faults}], lambda fault: fault is not null) as faulty_features", (named,)
        ),
    }


def cardinality_fragment(catalogue: FeatureCatalogue) -> Fragment:
    """The select-list text that counts each feature's values; not of lists, users and videos."""
    ids = ("user_id", "video_id")
    counted = [f.column for f in catalogue.features if f.kind != "list" and f.input not in ids]
    structs = ", ".join(f"{{ 'name': '{column}', 'n': count(distinct {column}) }}" for column in counted)
    name = "feature_cardinalities"
    return Fragment(f"[{structs}] as {name}", (Column(name, "struct[]", "values of each feature"),))


def history_fragments(catalogue: FeatureCatalogue) -> dict[str, Fragment]:
    """The select-list text of the bucket ids made from clicked videos, for the check of leaks.

    ``claimed_history`` takes those that a feature table has, ``counted_history`` makes them anew.
    """
    made = [f for f in catalogue.side("user") if f.input == "clicked_videos"]
    cells = {
        "claimed_history": [(f, f.column) for f in made],
        "counted_history": [(f, catalogue.encode(f)) for f in made],
    }
    fragments = {}
    for name, columns in cells.items():
        lists = ", ".join(sql if f.kind == "list" else f"[{sql}]" for f, sql in columns)
        column = Column(name, "integer[][]", "bucket ids of the clicked videos, a list for each feature")
        fragments[name] = Fragment(f"[{lists}]::integer[][] as {name}", (column,))
    return fragments


def check_fragments(catalogue: FeatureCatalogue) -> dict[str, Fragment]:
    """Everything that a check's file may name under ``compiled:``."""
    return {
        **range_fragments(catalogue),
        "feature_cardinalities": cardinality_fragment(catalogue),
        **history_fragments(catalogue),
    }


def _suite(
    table: str, columns: tuple[Column, ...], settings: Mapping[str, Any], further: "list[Expectation]"
) -> "ExpectationSuite":
    """The expectations every gated table has, one for each SQL check, and the table's further ones."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    expectations: list[Expectation] = [
        gxe.ExpectTableColumnsToMatchOrderedList(
            column_list=[column.name for column in columns], meta={"check": "schema"}
        ),
        _no_rows(table, _SCHEMA),
        gxe.ExpectTableRowCountToBeBetween(min_value=settings["min_rows"], meta={"check": "volume"}),
        *(_no_rows(table, check) for check in CHECKS[table] if check.has_sql),
        *further,
    ]
    return gx.ExpectationSuite(name=table, expectations=expectations)


def _not_null(check: str, *columns: str) -> "list[Expectation]":
    import great_expectations.expectations as gxe

    return [gxe.ExpectColumnValuesToNotBeNull(column=column, meta={"check": check}) for column in columns]


def _no_rows(table: str, check: CheckSpec) -> "Expectation":
    """No offenders: the audit has run the check's statement into ``checks.<file>`` beforehand.

    Great Expectations wants ``{batch}`` in a query; DuckDB never evaluates a CTE that nothing reads.
    """
    import great_expectations.expectations as gxe

    return gxe.UnexpectedRowsExpectation(
        unexpected_rows_query=(
            "with audited as (select * from {batch}) "
            f"select * from checks.{check_file(table, check.name)} where is_fault"
        ),
        description=check.description,
        meta={"check": check.name, "offenders": True},
    )
