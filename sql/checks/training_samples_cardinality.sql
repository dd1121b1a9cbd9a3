-- Features that take other numbers of values than on the days before: a join that finds nothing, a column
-- that came constant, ids that were garbled.
--
-- Users and videos themselves are not counted here, the check of drift does it. A feature made from history
-- takes more values while history grows, so that more values fault only once all seven days are there.
--
-- grain:    one feature
-- key:      measure
-- inputs:   quality.day_profiles[-7..0](measure, value)
-- params:   $dt, the day
--           $min_drift_days, how many earlier days a comparison needs
--           $max_cardinality_change, largest fall of the number of values, as a share of the usual; a rise
--           may be as large as would undo such a fall
-- columns:
--   dt        date     business day of the source
--   measure   varchar  a column of training.samples
--   today     double   how many values it takes on the day
--   usual     double   the mean over the days before, each day alike; NULL on the first
--   n_days    bigint   how many days before there are
--   is_fault  boolean  it changed by more than it may, or is constant and was not

with

counted as (

    select
        dt,
        substr(measure, len('values of ') + 1) as measure,
        value as n
    from quality.day_profiles
    where starts_with(measure, 'values of ')

),

compared as (

    select
        measure,
        any_value(n) filter (where dt = $dt) as today,
        sum(n) filter (where dt < $dt) / count(*) filter (where dt < $dt) as usual,
        count(*) filter (where dt < $dt) as n_days
    from counted
    group by measure

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
