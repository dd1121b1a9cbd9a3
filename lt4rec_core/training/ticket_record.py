"""What the lake keeps of a ticket: the rounds of its search, for whoever asks in SQL how it was found."""

from datetime import UTC, datetime

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.training.tickets import Ticket, TicketKey

ROUNDS = "tickets.search_rounds"


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
