-- How far predictions are from what happened, part by part, on average over the day's impressions.
--
-- grain:   one model and task
-- key:     measure
-- inputs:  evaluation.calibration[0]
-- params:  $dt, the day
--          $max_calibration_gap, largest mean distance of predicted from actual
-- columns:
--   dt        date     business day of the source
--   measure   varchar  model and task, as in snet cvr
--   gap       double   mean distance of predicted from actual, weighted by impressions
--   n         bigint   impressions
--   is_fault  boolean  the gap is larger than it may be

with

summed as (

    select
        model || ' ' || task as measure,
        cast(sum(n) as bigint) as n,
        -- A decimal, so that the sum is exact in any order of the parts.
        sum(cast(n * abs(predicted - actual) as decimal(38, 15))) / sum(n) as gap
    from evaluation.calibration
    group by model, task

)

select
    cast($dt as date) as dt,
    measure,
    gap,
    n,
    coalesce(gap > $max_calibration_gap, true) as is_fault
from summed
order by measure
