-- How the day's samples differ from the days before: counts, label means, shares of the unknown.
--
-- New users and videos fault only when their share jumps up: it falls by itself while history grows.
--
-- grain:   one measure
-- key:     measure
-- inputs:
--   training.samples[-7..0](user_id, video_id, is_click, watch_ratio, is_new_user, is_new_video)
-- params:  $dt, the day
--          $min_drift_days, how many earlier days a comparison needs
--          $max_volume_change, largest change of a count, as a share of the usual
--          $max_rate_change, largest change of a mean label, as a difference
--          $max_new_share_rise, largest rise of the share of samples of new users or videos
-- columns:
--   dt        date     business day of the source
--   measure   varchar  a count, a mean label or a share of samples of the new
--   today     double   its value on the day
--   usual     double   its mean over the days before, each day alike; NULL on the first
--   n_days    bigint   how many days before there are
--   is_fault  boolean  it changed by more than it may

with

daily as (

    select
        dt,
        count(*) as n_samples,
        count(distinct user_id) as n_users,
        count(distinct video_id) as n_videos,
        count(*) filter (where is_click) / count(*) as click_rate,
        sum(try_cast(watch_ratio as decimal(18, 15))) / count(watch_ratio) as watch_ratio,
        count(*) filter (where is_new_user) / count(*) as new_user_share,
        count(*) filter (where is_new_video) / count(*) as new_video_share
    from training.samples
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
            ('n_samples', daily.n_samples),
            ('n_users', daily.n_users),
            ('n_videos', daily.n_videos),
            ('click_rate', daily.click_rate),
            ('watch_ratio', daily.watch_ratio),
            ('new_user_share', daily.new_user_share),
            ('new_video_share', daily.new_video_share)
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
        case
            when starts_with(measure, 'n_') then abs(today / usual - 1) > $max_volume_change
            when measure in ('click_rate', 'watch_ratio') then abs(today - usual) > $max_rate_change
            else today - usual > $max_new_share_rise
        end,
        true
    ) as is_fault
from compared
order by measure
