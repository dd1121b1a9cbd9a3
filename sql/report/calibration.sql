-- Predicted and actual means of the ten parts of each day, over all days: a day counts by its rows.
-- inputs: evaluation.calibration

select
    model,
    task,
    decile,
    sum(predicted * n order by dt) / sum(n) as predicted,
    sum(actual * n order by dt) / sum(n) as actual,
    cast(sum(n) as bigint) as n
from evaluation.calibration
where dt between $first and $last
group by model, task, decile
order by task, model, decile
