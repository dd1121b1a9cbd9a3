"""``lt4rec check-source``: what a source delivers against the contract, before anything is materialised."""

from lt4rec_core.data.source_check.checking import check_source
from lt4rec_core.data.source_check.facts import Limits, SourceReport
from lt4rec_core.data.source_check.page import lines_of

__all__ = ["Limits", "SourceReport", "check_source", "lines_of"]
