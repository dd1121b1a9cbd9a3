-- How each model's mean predictions differ from the days before, and whether it still tells samples apart.
--
-- grain:   one measure of one model
-- key:     measure
-- inputs:  evaluation.predictions[-7..0](model, p_ctr, p_cvr)
-- params:  $dt, the day
--          $min_drift_days, how many earlier days a comparison needs
--          $max_rate_change, largest change of a mean prediction, as a difference
-- columns:
--   dt        date     business day of the source
--   measure   varchar  model and score, or model and number of different scores
--   today     double   its value on the day
--   usual     double   its mean over the days before, each day alike; NULL for numbers of scores
--   n_days    bigint   how many days before there are
--   is_fault  boolean  the mean changed by more than it may, or every sample has one and the same score

with

daily as (

    select
        dt,
        model,
        sum(cast(p_ctr as decimal(18, 15))) / count(p_ctr) as p_ctr,
        sum(cast(p_cvr as decimal(18, 15))) / count(p_cvr) as p_cvr
    from evaluation.predictions
    -- Faults of ranges are that check's to find; here they must not fail the cast.
    where isfinite(p_ctr) and isfinite(p_cvr) and abs(p_ctr) <= 1 and abs(p_cvr) <= 1
    group by dt, model

),

measured as (

    select
        daily.dt,
        daily.model || ' ' || m.score as measure,
        -- A decimal, so that the mean over days is exact in any order of the days.
        cast(m.value as decimal(38, 15)) as value
    from daily
    cross join lateral (values ('p_ctr', daily.p_ctr), ('p_cvr', daily.p_cvr)) as m (score, value)

),

compared as (

    select
        measure,
        cast(any_value(value) filter (where dt = $dt) as double) as today,
        sum(value) filter (where dt < $dt) / count(value) filter (where dt < $dt) as usual,
        count(value) filter (where dt < $dt) as n_days
    from measured
    group by measure

),

varied as (

    select
        model || ' different scores' as measure,
        count(distinct p_ctr) as today,
        count(*) as n_rows
    from evaluation.predictions
    where dt = $dt
    group by model

),

judged as (

    select
        measure,
        today,
        usual,
        n_days,
        n_days >= $min_drift_days and coalesce(abs(today - usual) > $max_rate_change, true) as is_fault
    from compared
    union all by name
    select
        measure,
        cast(today as double) as today,
        cast(0 as bigint) as n_days,
        today = 1 and n_rows > 1 as is_fault
    from varied

)

select
    cast($dt as date) as dt,
    measure,
    today,
    usual,
    n_days,
    is_fault
from judged
order by measure
