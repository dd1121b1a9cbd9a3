-- Features that take other numbers of values than on the days before: a join that finds nothing, a column
-- that came constant, ids that were garbled.
--
-- Users and videos themselves are not counted here, the check of drift does it. A feature made from history
-- takes more values while history grows, so that more values fault only once all seven days are there.
--
-- grain:    one feature
-- key:      measure
-- inputs:   training.samples[-7..0]
-- params:   $dt, the day
--           $min_drift_days, how many earlier days a comparison needs
--           $max_cardinality_change, largest fall of the number of values, as a share of the usual; a rise
--           may be as large as would undo such a fall
-- compiled: $feature_cardinalities
-- columns:
--   dt        date     business day of the source
--   measure   varchar  a column of training.samples
--   today     double   how many values it takes on the day
--   usual     double   the mean over the days before, each day alike; NULL on the first
--   n_days    bigint   how many days before there are
--   is_fault  boolean  it changed by more than it may, or is constant and was not

with

daily as (

    select
        dt,
        $feature_cardinalities
    from training.samples
    group by dt

),

counted as (

    select
        dt,
        unnest(feature_cardinalities) as feature
    from daily

),

compared as (

    select
        c.feature.name as measure,
        cast(any_value(c.feature.n) filter (where c.dt = $dt) as double) as today,
        sum(c.feature.n) filter (where c.dt < $dt) / count(*) filter (where c.dt < $dt) as usual,
        count(*) filter (where c.dt < $dt) as n_days
    from counted as c
    group by c.feature.name

)

select
    cast($dt as date) as dt,
    measure,
    today,
    usual,
    n_days,
    n_days >= $min_drift_days
    and coalesce(
        today < usual * (1 - $max_cardinality_change)
        or (today <= 1 and usual > 1)
        or (n_days >= 7 and today * (1 - $max_cardinality_change) > usual),
        true
    ) as is_fault
from compared
order by measure
