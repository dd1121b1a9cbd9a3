-- How the day's samples differ from the days before: counts, label means, shares of the new and the unknown.
--
-- New users and videos fault only when their share jumps up: it falls by itself while history grows. Unknown
-- ones, without a row in source.users or source.videos of their day, also when they are many: on any day, the
-- first included, that is how a file of users or videos that came incomplete shows.
--
-- grain:   one measure
-- key:     measure
-- inputs:  quality.day_profiles[-7..0](measure, value)
-- params:  $dt, the day
--          $min_drift_days, how many earlier days a comparison needs
--          $max_volume_change, largest change of a count, as a share of the usual
--          $max_rate_change, largest change of a mean label, as a difference
--          $max_new_share_rise, largest rise of the share of samples of new users or videos
--          $max_unknown_share, largest share of samples of unknown users or videos
--          $max_unknown_share_rise, largest rise of that share
-- columns:
--   dt        date     business day of the source
--   measure   varchar  a count, a mean label, a share of samples of the new or the unknown
--   today     double   its value on the day
--   usual     double   its mean over the days before, each day alike; NULL on the first
--   n_days    bigint   how many days before there are
--   is_fault  boolean  it changed by more than it may, or is more than it may be

with

measured as (

    select
        dt,
        measure,
        -- A decimal, so that the mean over days is exact in any order of the days.
        cast(value as decimal(38, 15)) as value
    from quality.day_profiles
    where not starts_with(measure, 'values of ')

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
    coalesce(starts_with(measure, 'unknown_') and today > $max_unknown_share, false)
    or (n_days >= $min_drift_days and coalesce(
        case
            when starts_with(measure, 'n_') then abs(today / usual - 1) > $max_volume_change
            when measure in ('click_rate', 'watch_ratio') then abs(today - usual) > $max_rate_change
            when starts_with(measure, 'unknown_') then today - usual > $max_unknown_share_rise
            else today - usual > $max_new_share_rise
        end,
        true
    )) as is_fault
from compared
order by measure
