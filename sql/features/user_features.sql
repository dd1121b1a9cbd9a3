-- Each user seen on a day, as known before it: their attributes, how they behaved in the seven
-- days before, the videos they clicked last.
--
-- Of the day itself the statement sees nothing but which users appear. Rates are drawn towards the rate of
-- all users, and NULL where there is nothing to divide by. The catalogue may
-- use every column of source.users and every column computed here, clicked_videos included.
--
-- grain:    one user with an accepted impression on the day
-- key:      user_id
-- inputs:   samples.impressions[0](user_id), source.users[0], features.user_daily_stats[-7..-1],
--           samples.clicks[-7..-1](user_id, video_id, occurred_at)
-- params:   $dt, the day
--           $prior_strength, imagined observations at the common rate that every rate starts from
--           $history_length, how many clicked videos are remembered
-- compiled: $user_features
-- columns:
--   dt                  date     business day of the source
--   user_id             varchar  which user
--   n_impressions_7d    bigint   accepted impressions in the seven days before
--   n_clicks_7d         bigint   of these, clicked
--   click_rate_7d       double   clicks per impression, smoothed; NULL without an impression
--   like_rate_7d        double   likes per impression, smoothed; NULL without an impression
--   watch_ratio_7d      double   mean watch ratio, smoothed; NULL without a click, as in the next two
--   complete_rate_7d    double   share of the clicks watched to the end, smoothed
--   watch_surplus_7d    double   mean watch ratio above that of videos about as long, smoothed towards 0
--   is_new              boolean  no impression in the seven days before
--   $user_features

with

seen as (

    select distinct user_id
    from samples.impressions

),

history as (

    select
        clicks.user_id,
        -- The newest first. Of each user only these are held: ordering the clicks of all users would not fit
        -- in memory where there are many.
        list_transform(
            min(struct_pack(age := -epoch_us(clicks.occurred_at), id := clicks.video_id), $history_length),
            lambda click: click.id -- noqa: RF01
        ) as clicked_videos
    from samples.clicks
    semi join seen on clicks.user_id = seen.user_id
    group by clicks.user_id

),

overall as (

    select
        sum(n_clicks) / sum(n_impressions) as click_rate,
        sum(n_likes) / sum(n_impressions) as like_rate,
        sum(watch_ratio_millionths) / sum(n_watched) / 1000000 as watch_ratio,
        sum(n_completes) / sum(n_watched) as complete_rate
    from features.user_daily_stats

),

past as (

    select
        stats.user_id,
        sum(stats.n_impressions)::bigint as n_impressions,
        sum(stats.n_clicks)::bigint as n_clicks,
        sum(stats.n_likes) as n_likes,
        sum(stats.n_watched) as n_watched,
        sum(stats.n_completes) as n_completes,
        sum(stats.watch_ratio_millionths) / 1000000 as watch_ratio,
        sum(stats.watch_surplus_millionths) / 1000000 as watch_surplus
    from features.user_daily_stats as stats
    semi join seen on stats.user_id = seen.user_id
    group by stats.user_id

),

rates as (

    select
        past.user_id,
        past.n_impressions,
        past.n_clicks,
        (past.n_clicks + $prior_strength * overall.click_rate)
        / (past.n_impressions + $prior_strength) as click_rate,
        (past.n_likes + $prior_strength * overall.like_rate)
        / (past.n_impressions + $prior_strength) as like_rate,
        -- Without a click there is nothing to divide by, and the clicks' own rates stay NULL.
        case when past.n_watched > 0 then past.n_watched + $prior_strength end as n_watched_and_prior,
        (past.watch_ratio + $prior_strength * overall.watch_ratio) / n_watched_and_prior as watch_ratio,
        (past.n_completes + $prior_strength * overall.complete_rate) / n_watched_and_prior as complete_rate,
        past.watch_surplus / n_watched_and_prior as watch_surplus
    from past
    cross join overall

),

known as (

    select
        seen.user_id,
        users.* exclude (dt, user_id), -- noqa: RF02
        history.clicked_videos,
        coalesce(rates.n_impressions, 0) as n_impressions_7d,
        coalesce(rates.n_clicks, 0) as n_clicks_7d,
        rates.click_rate as click_rate_7d,
        rates.like_rate as like_rate_7d,
        rates.watch_ratio as watch_ratio_7d,
        rates.complete_rate as complete_rate_7d,
        rates.watch_surplus as watch_surplus_7d,
        rates.user_id is null as is_new
    from seen
    left join source.users on seen.user_id = users.user_id
    left join rates on seen.user_id = rates.user_id
    left join history on seen.user_id = history.user_id

)

select
    $dt::date as dt,
    user_id,
    n_impressions_7d,
    n_clicks_7d,
    click_rate_7d,
    like_rate_7d,
    watch_ratio_7d,
    complete_rate_7d,
    watch_surplus_7d,
    is_new,
    $user_features
from known
order by user_id
