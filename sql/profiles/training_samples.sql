-- What a day of samples looks like: counts, label means, shares of the new and unknown, values of features.
--
-- Made once for a day's rows and kept in quality.day_profiles, so that the checks of drift and cardinality
-- need not read the days before again. A day without a sample has no row.
--
-- grain:    one measure
-- key:      measure
-- inputs:   training.samples[0], source.users[0](user_id), source.videos[0](video_id)
-- compiled: $feature_cardinalities
-- columns:
--   dt       date     business day of the source
--   measure  varchar  a count, a mean label, a share of samples, or 'values of' a column
--   value    double   its value; NULL where there is nothing to divide by

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
        count(*) filter (where is_new_video) / count(*) as new_video_share,
        $feature_cardinalities
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

counted as (

    select
        dt,
        unnest(feature_cardinalities) as feature
    from daily

)

select
    daily.dt,
    m.measure,
    m.value
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
union all
select
    counted.dt,
    'values of ' || counted.feature.name as measure,
    counted.feature.n as value
from counted
order by measure
