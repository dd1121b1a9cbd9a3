-- What each video did on one day, as counts and sums that add up over days.
--
-- Whole numbers only: sums of fractions differ from run to run. Later days read these, the day itself not.
--
-- grain:   one video with an accepted impression on the day
-- key:     video_id
-- inputs:  samples.impressions[0](user_id, video_id, is_click, is_like, is_long_view),
--          samples.conversions[0](user_id, video_id, play_ms, duration_ms, watch_ratio, is_converted)
-- params:  $dt, the day
-- columns:
--   dt                        date     business day of the source
--   video_id                  varchar  which video
--   n_impressions             bigint   accepted impressions
--   n_clicks                  bigint   of these, clicked
--   n_likes                   bigint   of these, liked; 0 where the source does not say
--   n_long_views              bigint   of these, long views; 0 where the source does not say
--   n_watched                 bigint   clicks whose watch ratio is known: all, unless labels are made scarce
--   n_conversions             bigint   clicks watched up to the conversion threshold
--   n_completes               bigint   clicks watched to the end
--   play_ms                   bigint   time the clicked videos played, each at most its length
--   watch_ratio_millionths    bigint   sum of the clicks' watch ratios
--   watch_surplus_millionths  bigint   sum of the clicks' watch ratios less the day's mean for videos about
--                                      as long: long ones are watched to a smaller share, whoever watches

with

shown as (

    select
        video_id,
        count(*) as n_impressions,
        count(*) filter (where is_click) as n_clicks,
        count(*) filter (where is_like) as n_likes,
        count(*) filter (where is_long_view) as n_long_views
    from samples.impressions
    group by video_id

),

watched as (

    select
        video_id,
        is_converted,
        watch_ratio = 1 as is_complete,
        least(play_ms, duration_ms) as play_ms,
        round(watch_ratio * 1000000)::bigint as millionths,
        -- Two classes for every doubling of the length.
        floor(2 * log2(duration_ms)) as length_class
    from samples.conversions

),

compared as (

    select
        *,
        millionths - sum(millionths) over class // count(*) over class as surplus
    from watched
    window class as (partition by length_class)

),

clicked as (

    select
        video_id,
        count(*) as n_watched,
        count(*) filter (where is_converted) as n_conversions,
        count(*) filter (where is_complete) as n_completes,
        -- A hostile length must not overflow the sum.
        least(sum(play_ms), 9223372036854775807)::bigint as play_ms,
        sum(millionths)::bigint as watch_ratio_millionths,
        sum(surplus)::bigint as watch_surplus_millionths
    from compared
    group by video_id

)

select
    $dt::date as dt,
    shown.video_id,
    shown.n_impressions,
    shown.n_clicks,
    shown.n_likes,
    shown.n_long_views,
    coalesce(clicked.n_watched, 0) as n_watched,
    coalesce(clicked.n_conversions, 0) as n_conversions,
    coalesce(clicked.n_completes, 0) as n_completes,
    coalesce(clicked.play_ms, 0) as play_ms,
    coalesce(clicked.watch_ratio_millionths, 0) as watch_ratio_millionths,
    coalesce(clicked.watch_surplus_millionths, 0) as watch_surplus_millionths
from shown
left join clicked on shown.video_id = clicked.video_id
order by shown.video_id
