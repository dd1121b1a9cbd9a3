"""What the lake keeps of tickets, for whoever asks in SQL: each search's rounds, and what tasks share."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import combinations

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.model.masks import Mask, overlap
from lt4rec_core.training.tickets import Ticket, TicketKey

ROUNDS = "tickets.search_rounds"
SHARING = "tickets.sharing"


def record_ticket(lake: Lake, key: TicketKey, found: Ticket, recorded_at: datetime | None = None) -> None:
    """Append the rounds of a ticket's search, in one commit; tasks that end at once do not conflict.

    Args:
        lake: where ``tickets.search_rounds`` lies.
        key: what decided the ticket.
        found: the ticket.
        recorded_at: when, aware of its time zone; None: now.

    Raises:
        LakeError: the table cannot be written.
    """
    at = (recorded_at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    rows = [
        {
            "dt": key.last,
            "task": found.task,
            "round": done.i,
            "density": done.density,
            "metric": found.metric,
            "value": done.metric,
            "standard_error": done.standard_error,
            "train_loss": done.train_loss,
            "is_chosen": done.i == found.best_i,
            "mask_digest": found.digest,
            "settings_digest": key.digest,
            "recorded_at": at,
        }
        for done in found.rounds
    ]
    lake.append(ROUNDS, key.last, pa.Table.from_pylist(rows, schema=lake.snapshot(ROUNDS).schema))


def record_sharing(lake: Lake, day: date, masks: Mapping[str, Mask]) -> None:
    """Publish how each pair of tasks shares each layer, in place of what was known of the day.

    Args:
        lake: where ``tickets.sharing`` lies.
        day: last day of the ticket window.
        masks: task to the mask of its ticket.

    Raises:
        LakeError: the table cannot be written.
    """
    rows = [
        {
            "dt": day,
            "task": one,
            "other_task": other,
            "layer": found.layer,
            "n_weights": found.n,
            "n_shared": found.shared,
            "n_only_task": found.only_first,
            "n_only_other": found.only_second,
            "n_unused": found.unused,
            "jaccard": found.jaccard,
            "jaccard_by_chance": found.jaccard_by_chance,
        }
        for one, other in combinations(sorted(masks), 2)
        for found in sorted(overlap(masks[one], masks[other]), key=lambda found: found.layer)
    ]
    table = pa.Table.from_pylist(rows, schema=lake.snapshot(SHARING).schema)
    lake.publish(lake.stage(SHARING, day, table.to_reader()))
