-- sNET beside the baseline within parts of the impressions: means over the days, a day counts by its rows.
-- inputs: evaluation.daily_metrics

select
    task,
    metric,
    slice,
    sum(snet * n order by dt) / sum(n) as snet,
    sum(baseline * n order by dt) / sum(n) as baseline,
    cast(sum(n) as bigint) as n,
    count(*) as n_days
from evaluation.snet_against_baseline
where
    dt between $first and $last
    and (task, metric) in (('ctr', 'auc'), ('cvr', 'mse'))
    and snet is not null
    and baseline is not null
group by task, metric, slice
having sum(n) > 0
order by task, slice
