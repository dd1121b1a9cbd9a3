-- Users and videos whose features of the day are not what the seven days before say.
--
-- Counts, rates and the history of clicks are computed anew from inputs that the day itself is not among:
-- what looked at the day cannot come out equal. The formulas are the feature tables' own, so every bit is.
--
-- Counts and rates are those of all users and videos. Histories, which cost as much as all of these, are made
-- anew for at most $history_users users: where a day has more, for another share of them each day, in turn. A
-- statement that looks at the day shows in any thousand of them.
--
-- grain:    one faulty user or video and its fault
-- key:      entity, id, fault
-- inputs:
--   training.samples[0](user_id, video_id, is_new_user, is_new_video),
--   features.user_features[0],
--   features.video_features[0](video_id, n_impressions_7d, n_clicks_7d, click_rate_7d, like_rate_7d,
--     watch_ratio_7d, complete_rate_7d, watch_surplus_7d),
--   features.user_daily_stats[-7..-1], features.video_daily_stats[-7..-1],
--   samples.clicks[-7..-1](user_id, video_id, occurred_at)
-- params:   $dt, the day
--           $prior_strength, imagined observations at the common rate that every rate starts from
--           $history_length, how many clicked videos are remembered
--           $history_users, about how many users' histories are made anew
-- compiled: $claimed_history, $counted_history
-- columns:
--   dt      date     business day of the source
--   entity  varchar  user or video
--   id      varchar  which one
--   fault   varchar  what its features claim
--   found   varchar  the claimed number or bucket ids
--   before  varchar  the same of the days before

with

claimed as (

    select
        'user' as entity,
        user_id as id,
        n_impressions_7d,
        n_clicks_7d,
        click_rate_7d,
        like_rate_7d,
        watch_ratio_7d,
        complete_rate_7d,
        watch_surplus_7d,
        $claimed_history
    from features.user_features
    union all by name
    select
        'video' as entity,
        video_id as id,
        n_impressions_7d,
        n_clicks_7d,
        click_rate_7d,
        like_rate_7d,
        watch_ratio_7d,
        complete_rate_7d,
        watch_surplus_7d
    from features.video_features

),

summed as (

    select
        'user' as entity,
        user_id as id,
        sum(n_impressions) as n_impressions,
        sum(n_clicks) as n_clicks,
        sum(n_likes) as n_likes,
        sum(n_watched) as n_watched,
        sum(n_completes) as n_completes,
        sum(watch_ratio_millionths) as watch_ratio_millionths,
        sum(watch_surplus_millionths) as watch_surplus_millionths
    from features.user_daily_stats
    group by user_id
    union all
    select
        'video' as entity,
        video_id as id,
        sum(n_impressions) as n_impressions,
        sum(n_clicks) as n_clicks,
        sum(n_likes) as n_likes,
        sum(n_watched) as n_watched,
        sum(n_completes) as n_completes,
        sum(watch_ratio_millionths) as watch_ratio_millionths,
        sum(watch_surplus_millionths) as watch_surplus_millionths
    from features.video_daily_stats
    group by video_id

),

overall as (

    select
        entity,
        sum(n_clicks) / sum(n_impressions) as click_rate,
        sum(n_likes) / sum(n_impressions) as like_rate,
        sum(watch_ratio_millionths) / sum(n_watched) / 1000000 as watch_ratio,
        sum(n_completes) / sum(n_watched) as complete_rate
    from summed
    group by entity

),

past as (

    select
        entity,
        id,
        n_impressions::bigint as n_impressions,
        n_clicks::bigint as n_clicks,
        n_likes,
        n_completes,
        watch_ratio_millionths / 1000000 as watch_ratio,
        watch_surplus_millionths / 1000000 as watch_surplus,
        case when n_watched > 0 then n_watched + $prior_strength end as n_watched_and_prior
    from summed

),

counted as (

    select
        past.entity,
        past.id,
        past.n_impressions,
        past.n_clicks,
        (past.n_clicks + $prior_strength * overall.click_rate)
        / (past.n_impressions + $prior_strength) as click_rate,
        (past.n_likes + $prior_strength * overall.like_rate)
        / (past.n_impressions + $prior_strength) as like_rate,
        (past.watch_ratio + $prior_strength * overall.watch_ratio) / past.n_watched_and_prior as watch_ratio,
        (past.n_completes + $prior_strength * overall.complete_rate)
        / past.n_watched_and_prior as complete_rate,
        past.watch_surplus / past.n_watched_and_prior as watch_surplus
    from past inner join overall on past.entity = overall.entity

),

shares as (

    select greatest(ceil(count(*) / $history_users), 1)::ubigint as n
    from features.user_features

),

checked as (

    select users.user_id
    from features.user_features as users
    cross join shares
    where hash(users.user_id) % shares.n = (cast($dt as date) - date '1970-01-01')::ubigint % shares.n

),

remembered as (

    select
        clicks.user_id,
        list_transform(
            min(struct_pack(age := -epoch_us(clicks.occurred_at), id := clicks.video_id), $history_length),
            lambda click: click.id -- noqa: RF01
        ) as clicked_videos
    from samples.clicks
    semi join checked on clicks.user_id = checked.user_id
    group by clicks.user_id

),

histories as (

    select
        'user' as entity,
        shown.user_id as id,
        $counted_history -- noqa: RF02
    from checked as shown
    left join remembered on shown.user_id = remembered.user_id

),

differing as (

    select
        claimed.* exclude (claimed_history), -- noqa: RF02
        counted.* exclude (entity, id), -- noqa: RF02
        if(histories.id is not null, claimed.claimed_history, null) as claimed_history,
        histories.counted_history
    from claimed
    left join counted on claimed.entity = counted.entity and claimed.id = counted.id
    left join histories on claimed.entity = histories.entity and claimed.id = histories.id
    where
        claimed.n_impressions_7d is distinct from coalesce(counted.n_impressions, 0)
        or claimed.n_clicks_7d is distinct from coalesce(counted.n_clicks, 0)
        or claimed.click_rate_7d is distinct from counted.click_rate
        or claimed.like_rate_7d is distinct from counted.like_rate
        or claimed.watch_ratio_7d is distinct from counted.watch_ratio
        or claimed.complete_rate_7d is distinct from counted.complete_rate
        or claimed.watch_surplus_7d is distinct from counted.watch_surplus
        or (histories.id is not null and claimed.claimed_history is distinct from histories.counted_history)

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

judged as (

    select
        differing.entity,
        differing.id,
        of_claim.fault,
        of_claim.found,
        of_claim.before
    from differing
    cross join
        lateral (
            values
            (
                'counts impressions', differing.n_impressions_7d::varchar,
                coalesce(differing.n_impressions, 0)::varchar
            ),
            ('counts clicks', differing.n_clicks_7d::varchar, coalesce(differing.n_clicks, 0)::varchar),
            ('rates clicks', differing.click_rate_7d::varchar, differing.click_rate::varchar),
            ('rates likes', differing.like_rate_7d::varchar, differing.like_rate::varchar),
            ('rates watching', differing.watch_ratio_7d::varchar, differing.watch_ratio::varchar),
            (
                'rates watching to the end', differing.complete_rate_7d::varchar,
                differing.complete_rate::varchar
            ),
            ('compares watching', differing.watch_surplus_7d::varchar, differing.watch_surplus::varchar),
            ('remembers clicks', differing.claimed_history::varchar, differing.counted_history::varchar)
        ) as of_claim (fault, found, before)
    union all
    select
        flagged.entity,
        flagged.id,
        'says seen before' as fault,
        (not flagged.is_new)::varchar as found,
        (coalesce(counted.n_impressions, 0) > 0)::varchar as before
    from flagged left join counted on flagged.entity = counted.entity and flagged.id = counted.id

)

select
    cast($dt as date) as dt,
    entity,
    id,
    fault,
    found,
    before
from judged
where found is distinct from before
order by entity, id, fault
