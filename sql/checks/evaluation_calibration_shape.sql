-- Calibrations that are no ten parts of a day: a missing or empty part, sizes apart, means that do not rise.
--
-- grain:   one faulty model and task
-- key:     model, task
-- inputs:  evaluation.calibration[0]
-- params:  $dt, the day
-- columns:
--   dt        date     business day of the source
--   model     varchar  which model
--   task      varchar  which task
--   n_parts   bigint   should be 10, or as many as there are impressions
--   smallest  bigint   impressions of the smallest part, should be the largest's or one less
--   largest   bigint   impressions of the largest part
--   n_faulty  bigint   parts with a mean outside [0, 1], or a lower prediction than the part before

with

parts as (

    select
        *,
        lag(predicted) over (partition by model, task order by decile asc) as predicted_before
    from evaluation.calibration

),

summed as (

    select
        model,
        task,
        count(*) as n_parts,
        min(n) as smallest,
        max(n) as largest,
        count(*) filter (
            where
            predicted not between 0 and 1
            or actual not between 0 and 1
            or predicted is null
            or actual is null
            or not isfinite(predicted)
            or not isfinite(actual)
            or predicted < predicted_before
        ) as n_faulty,
        count(distinct decile) as n_deciles,
        max(decile) as last_decile
    from parts
    group by model, task

)

select
    cast($dt as date) as dt,
    model,
    task,
    n_parts,
    smallest,
    largest,
    n_faulty
from summed
where
    n_faulty > 0
    or n_deciles <> n_parts
    or last_decile <> n_parts
    or (n_parts < 10 and largest > 1)
    or n_parts > 10
    or largest - smallest > 1
order by model, task
