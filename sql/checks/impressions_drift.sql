-- How the day differs from the days before: number of impressions, share of clicks.
--
-- grain:   one measure
-- key:     measure
-- inputs:  samples.impressions[-7..0](is_click)
-- params:  $dt, the day
--          $min_drift_days, how many earlier days a comparison needs
--          $max_volume_change, largest change of a count, as a share of the usual
--          $max_rate_change, largest change of a rate, as a difference
-- columns:
--   dt        date     business day of the source
--   measure   varchar  n_impressions or click_rate
--   today     double   its value on the day
--   usual     double   its mean over the days before; NULL on the first
--   n_days    bigint   how many days before there are
--   is_fault  boolean  it changed by more than it may

with

daily as (

    select
        dt,
        count(*) as n_impressions,
        count(*) filter (where is_click) / count(*) as click_rate
    from samples.impressions
    group by dt

),

measured as (

    select
        daily.dt,
        m.measure,
        -- A decimal, so that the mean over days is exact in any order of the days.
        cast(m.value as decimal(38, 15)) as value
    from daily
    cross join
        lateral (
            values
            ('n_impressions', daily.n_impressions),
            ('click_rate', daily.click_rate)
        ) as m (measure, value)

),

compared as (

    select
        measure,
        cast(any_value(value) filter (where dt = $dt) as double) as today,
        sum(value) filter (where dt < $dt) / count(value) filter (where dt < $dt) as usual,
        count(value) filter (where dt < $dt) as n_days
    from measured
    group by measure

)

select
    cast($dt as date) as dt,
    measure,
    today,
    usual,
    n_days,
    n_days >= $min_drift_days and coalesce(
        if(
            measure = 'click_rate',
            abs(today - usual) > $max_rate_change,
            abs(today / usual - 1) > $max_volume_change
        ),
        true
    ) as is_fault
from compared
order by measure
