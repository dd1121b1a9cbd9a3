-- What a day of samples looks like: counts, label means, shares of the new and unknown, values of features.
--
-- Made once for a day's rows and kept in quality.day_profiles, so that the checks of drift and cardinality
-- need not read the days before again. A day without a sample has no row.
--
-- grain:    one measure
-- key:      measure
-- inputs:   training.samples[0], source.users[0](user_id), source.videos[0](video_id)
-- params:   $dt, the day
-- compiled: $feature_cardinalities
-- columns:
--   dt       date     business day of the source
--   measure  varchar  a count, a mean label, a share of samples, or 'values of' a column
--   value    double   its value; NULL where there is nothing to divide by

with

users as (

    select
        user_id,
        count(*) as n
    from training.samples
    where dt = $dt
    group by user_id

),

videos as (

    select
        video_id,
        count(*) as n
    from training.samples
    where dt = $dt
    group by video_id

),

counted_users as (

    select
        count(users.user_id) as n_users,
        coalesce(sum(users.n) filter (where known.user_id is null), 0) as n_unknown
    from users
    left join source.users as known on users.user_id = known.user_id

),

counted_videos as (

    select
        count(videos.video_id) as n_videos,
        coalesce(sum(videos.n) filter (where known.video_id is null), 0) as n_unknown
    from videos
    left join source.videos as known on videos.video_id = known.video_id

),

-- Not grouped by their one day: values of features would be counted at twice the cost.
sampled as (

    select
        count(*) as n_samples,
        count(*) filter (where is_click) / count(*) as click_rate,
        sum(try_cast(watch_ratio as decimal(18, 15))) / count(watch_ratio) as watch_ratio,
        count(*) filter (where is_new_user) / count(*) as new_user_share,
        count(*) filter (where is_new_video) / count(*) as new_video_share,
        $feature_cardinalities
    from training.samples
    where dt = $dt
    having count(*) > 0

),

daily as (

    select
        sampled.*,
        counted_users.n_users,
        counted_videos.n_videos,
        counted_users.n_unknown / sampled.n_samples as unknown_user_share,
        counted_videos.n_unknown / sampled.n_samples as unknown_video_share
    from sampled
    cross join counted_users
    cross join counted_videos

),

counted as (

    select unnest(feature_cardinalities) as feature
    from daily

)

select
    cast($dt as date) as dt,
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
    cast($dt as date) as dt,
    'values of ' || counted.feature.name as measure,
    counted.feature.n as value
from counted
order by measure
