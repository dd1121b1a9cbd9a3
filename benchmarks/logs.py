"""A day's logs as Parquet files, and a home with the seven days before it: where the SQL benchmark starts.

The platform grows with its log: at every size a user has 7.5 impressions a day. The seven days before are one
day, made by the pipeline from a log of its own and put under seven dates.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.homes import Chain

if TYPE_CHECKING:
    import pyarrow as pa

RAW = ("impressions", "users", "videos")
DAYS_BEFORE = 7
READ_LATER = (
    "source.users",
    "source.videos",
    "samples.impressions",
    "samples.clicks",
    "features.user_daily_stats",
    "features.video_daily_stats",
    "training.samples",
)
"""What a day's statements and gates read of the days before."""


def chain_of(folder: Path) -> Chain:
    """The statements of a home that reads the simulator's logs from Parquet files."""
    from lt4rec_core.data.sources import RawInput

    chain = Chain.of(folder / "home")
    raw = {name: RawInput(name, (f"{name}.parquet",), "parquet") for name in RAW}
    source = replace(chain.project.source, generator=None, raw=raw)
    tables = {name: table for name, table in chain.project.tables.items() if name != "source.truth"}
    return Chain(replace(chain.project, source=source, tables=tables), chain.lake)


def log_of(folder: Path, day: date) -> Path:
    """Where the files of a day's log lie."""
    return folder / "logs" / str(day)


def prepare(folder: Path, n: int) -> None:
    """Write the logs of two days of ``n`` impressions, and the days before the second; once per folder."""
    done = folder / f"{n}.done"
    if done.exists():
        return
    from lt4rec_core.quality.profiles import Profiles, keep_profiles

    (folder / "home").mkdir(parents=True, exist_ok=True)
    chain = chain_of(folder)
    last, measured = chain.day(DAYS_BEFORE - 1), chain.day(DAYS_BEFORE)
    for day in (last, measured):
        write_log(log_of(folder, day), day, n)
    for name in chain.tables:
        chain.lake.publish(chain.stage(name, last, log_of(folder, last))[0])
    for back in range(1, DAYS_BEFORE):
        for name in READ_LATER:
            reader = chain.lake.open(name, last, last)
            shifted = _shifted(reader, timedelta(days=back))
            chain.lake.publish(chain.lake.stage(name, last - timedelta(days=back), shifted))
    # As audits would have left it: each day's gate reads profiles of the days before, not their rows.
    profiles = Profiles(chain.lake, chain.project.source, "training.samples")
    profiles.of(chain.day(number) for number in range(DAYS_BEFORE))
    keep_profiles(chain.lake, profiles.measured)
    done.touch()


def write_log(folder: Path, day: date, n: int) -> None:
    """One day of the simulator, a platform as large as its log."""
    import pyarrow.parquet as pq

    from lt4rec_core.data.simulator import SimulatorSettings, generate

    plain = SimulatorSettings()
    settings: dict[str, int] = {"impressions_per_day": n}
    for name in ("n_users", "new_users_per_day", "n_videos", "new_videos_per_day"):
        settings[name] = max(getattr(plain, name) * n // plain.impressions_per_day, 2)
    folder.mkdir(parents=True, exist_ok=True)
    delivered = generate(day, settings)
    for name in RAW:
        pq.write_table(
            delivered[name], folder / f"{name}.parquet", compression="zstd", row_group_size=131_072
        )


def _shifted(reader: "pa.RecordBatchReader", back: timedelta) -> "pa.RecordBatchReader":
    """The same rows, some days earlier."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            columns = list(batch.columns)
            for i, column in enumerate(batch.schema):
                if column.name in ("dt", "occurred_at"):
                    earlier = pc.subtract(
                        columns[i].cast(pa.timestamp("us")), pa.scalar(back, pa.duration("us"))
                    )
                    columns[i] = earlier.cast(column.type)
            yield pa.RecordBatch.from_arrays(columns, schema=batch.schema)

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
