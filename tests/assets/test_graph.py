from itertools import pairwise

import dagster as dg
import pytest

from lt4rec_assets.graph import build_graph
from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings


@pytest.fixture(params=["simulator", "kuairand"])
def graph(request, tmp_path):
    """The asset graph as the daemon sees it, of a source with a truth and of one without."""
    settings = read_settings(
        {
            "LT4REC_HOME": str(tmp_path),
            "LT4REC_SOURCE": request.param,
            "LT4REC_SOURCE_PATH": str(tmp_path),
            "LT4REC_START": "2026-01-05",
            "LT4REC_END": "2026-01-09",
            "LT4REC_TICKET_DAYS": "2",
        }
    )
    return build_graph(Project.of(settings)).resolve_asset_graph()


def test_a_backfill_started_in_the_ui_never_leaves_out_a_day_that_was_asked_for(graph):
    """Dagster goes from the roots by layers, in each layer in any order, and takes of every asset the days
    that the layers before have led it to. So one parent of the layer before must lead to the same day."""
    asked = "2026-01-07"
    daily = {
        key
        for key in graph.materializable_asset_keys
        if isinstance(graph.get(key).partitions_def, dg.DailyPartitionsDefinition)
    }
    roots = {key for key in daily if not graph.get(key).parent_keys & daily}
    targeted = set()
    for root in roots:
        layers = [{root}]
        seen = {root}
        while layers[-1]:
            layers.append({c for key in layers[-1] for c in graph.get(key).child_keys & daily} - seen)
            seen |= layers[-1]
        reached = {root}
        for above, layer in pairwise(layers):
            for child in layer:
                if any(leads(graph, parent, child, asked) for parent in above & reached):
                    reached.add(child)
        targeted |= reached

    assert targeted == daily


def leads(graph, parent, child, day):
    """Whether a parent's day leads to the same day of the child."""
    if parent not in graph.get(child).parent_keys:
        return False
    of_parent, of_child = graph.get(parent).partitions_def, graph.get(child).partitions_def
    days = graph.get_partition_mapping(child, parent).get_downstream_partitions_for_partitions(
        of_parent.subset_with_partition_keys([day]), of_parent, downstream_partitions_def=of_child
    )
    return day in days.get_partition_keys()
