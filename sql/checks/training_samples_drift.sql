-- How the day's samples differ from the days before: counts, label means, shares of the new and the unknown.
--
-- New users and videos fault only when their share jumps up: it falls by itself while history grows. Unknown
-- ones, without a row in source.users or source.videos of their day, also when they are many: on any day, the
-- first included, that is how a file of users or videos that came incomplete shows.
--
-- grain:   one measure
-- key:     measure
-- inputs:
--   training.samples[-7..0](user_id, video_id, is_click, watch_ratio, is_new_user, is_new_video),
--   source.users[-7..0](user_id), source.videos[-7..0](video_id)
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

users as (

    select
        dt,
        user_id,
        count(*) as n
    from training.samples
    group by dt, user_id

),

videos as (

    select
        dt,
        video_id,
        count(*) as n
    from training.samples
    group by dt, video_id

),

counted_users as (

    select
        users.dt,
        count(users.user_id) as n_users,
        coalesce(sum(users.n) filter (where known.user_id is null), 0) as n_unknown
    from users
    left join source.users as known on users.dt = known.dt and users.user_id = known.user_id
    group by users.dt

),

counted_videos as (

    select
        videos.dt,
        count(videos.video_id) as n_videos,
        coalesce(sum(videos.n) filter (where known.video_id is null), 0) as n_unknown
    from videos
    left join source.videos as known on videos.dt = known.dt and videos.video_id = known.video_id
    group by videos.dt

),

sampled as (

    select
        dt,
        count(*) as n_samples,
        count(*) filter (where is_click) / count(*) as click_rate,
        sum(try_cast(watch_ratio as decimal(18, 15))) / count(watch_ratio) as watch_ratio,
        count(*) filter (where is_new_user) / count(*) as new_user_share,
        count(*) filter (where is_new_video) / count(*) as new_video_share
    from training.samples
    group by dt

),

daily as (

    select
        sampled.*,
        counted_users.n_users,
        counted_videos.n_videos,
        counted_users.n_unknown / sampled.n_samples as unknown_user_share,
        counted_videos.n_unknown / sampled.n_samples as unknown_video_share
    from sampled
    inner join counted_users on sampled.dt = counted_users.dt
    inner join counted_videos on sampled.dt = counted_videos.dt

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
            ('new_video_share', daily.new_video_share),
            ('unknown_user_share', daily.unknown_user_share),
            ('unknown_video_share', daily.unknown_video_share)
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
