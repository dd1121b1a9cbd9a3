-- From delivered rows to watched videos, day by day.
--
-- grain:   one day
-- key:     dt
-- inputs:  samples.screened_impressions, samples.conversions
-- columns:
--   dt                date    business day of the source
--   n_delivered       bigint  rows that were delivered
--   n_impressions     bigint  of these, accepted
--   n_clicks          bigint  of these, clicked
--   n_conversions     bigint  of these, watched up to the threshold; NULL until samples/conversions is made
--   click_rate        double  clicks per impression
--   conversion_rate   double  conversions per click
--   mean_watch_ratio  double  mean share of the video that a click watched
--   n_users           bigint  users with an accepted impression
--   n_videos          bigint  videos with one

with

shown as (

    select
        dt,
        count(*) as n_delivered,
        count(*) filter (where reject_reason is null) as n_impressions,
        count(*) filter (where reject_reason is null and is_click) as n_clicks,
        count(distinct user_id) filter (where reject_reason is null) as n_users,
        count(distinct video_id) filter (where reject_reason is null) as n_videos
    from samples.screened_impressions
    group by dt

),

watched as (

    select
        dt,
        count(*) filter (where is_converted) as n_conversions,
        count(*) as n_watched,
        -- Decimals add up to the same in any order.
        sum(cast(watch_ratio as decimal(18, 15))) as watch_ratio
    from samples.conversions
    group by dt

)

select
    shown.dt,
    shown.n_delivered,
    shown.n_impressions,
    shown.n_clicks,
    watched.n_conversions,
    shown.n_clicks / nullif(shown.n_impressions, 0) as click_rate,
    watched.n_conversions / watched.n_watched as conversion_rate,
    watched.watch_ratio / watched.n_watched as mean_watch_ratio,
    shown.n_users,
    shown.n_videos
from shown
left join watched on shown.dt = watched.dt
