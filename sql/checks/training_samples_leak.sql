-- Users and videos whose features of the day are not what the seven days before say.
--
-- The day itself is not among the inputs of the recount, so a count that includes it cannot come out equal.
--
-- grain:   one faulty user or video and its fault
-- key:     entity, id, fault
-- inputs:
--   training.samples[0](user_id, video_id, is_new_user, is_new_video),
--   features.user_features[0](user_id, n_impressions_7d, n_clicks_7d),
--   features.video_features[0](video_id, n_impressions_7d, n_clicks_7d),
--   features.user_daily_stats[-7..-1](user_id, n_impressions, n_clicks),
--   features.video_daily_stats[-7..-1](video_id, n_impressions, n_clicks)
-- params:  $dt, the day
-- columns:
--   dt      date     business day of the source
--   entity  varchar  user or video
--   id      varchar  which one
--   fault   varchar  what its features claim
--   found   bigint   the claimed number
--   before  bigint   the number in the days before

with

users as (

    select
        user_id as id,
        sum(n_impressions) as n_impressions,
        sum(n_clicks) as n_clicks
    from features.user_daily_stats
    group by user_id

),

videos as (

    select
        video_id as id,
        sum(n_impressions) as n_impressions,
        sum(n_clicks) as n_clicks
    from features.video_daily_stats
    group by video_id

),

claimed as (

    select
        'user' as entity,
        user_id as id,
        n_impressions_7d as n_impressions,
        n_clicks_7d as n_clicks
    from features.user_features
    union all
    select
        'video' as entity,
        video_id as id,
        n_impressions_7d as n_impressions,
        n_clicks_7d as n_clicks
    from features.video_features

),

counted as (

    select
        'user' as entity,
        *
    from users
    union all
    select
        'video' as entity,
        *
    from videos

),

flagged as (

    select distinct
        'user' as entity,
        user_id as id,
        is_new_user as is_new
    from training.samples
    union all
    select distinct
        'video' as entity,
        video_id as id,
        is_new_video as is_new
    from training.samples

),

faulty as (

    select
        claimed.entity,
        claimed.id,
        'counts impressions' as fault,
        claimed.n_impressions as found,
        coalesce(counted.n_impressions, 0) as before
    from claimed left join counted on claimed.entity = counted.entity and claimed.id = counted.id
    union all
    select
        claimed.entity,
        claimed.id,
        'counts clicks' as fault,
        claimed.n_clicks as found,
        coalesce(counted.n_clicks, 0) as before
    from claimed left join counted on claimed.entity = counted.entity and claimed.id = counted.id
    union all
    select
        flagged.entity,
        flagged.id,
        'says seen before' as fault,
        cast(not flagged.is_new as integer) as found,
        cast(coalesce(counted.n_impressions, 0) > 0 as integer) as before
    from flagged left join counted on flagged.entity = counted.entity and flagged.id = counted.id

)

select
    cast($dt as date) as dt,
    entity,
    id,
    fault,
    cast(found as bigint) as found,
    cast(before as bigint) as before
from faulty
where found is distinct from before
order by entity, id, fault
