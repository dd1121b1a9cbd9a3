"""docs/OWN_LOGS.md, followed literally to its end: export, source, check, backfill, questions."""

import pytest

from tests.docs.blocks import ROOT
from tests.docs.following import Reader


@pytest.mark.slow
def test_the_page_is_followed_to_its_end(tmp_path):
    pairs = Reader(ROOT / "docs" / "OWN_LOGS.md", tmp_path).follow()

    assert len(pairs) == 2
    for shown, printed in pairs:
        assert printed == shown
