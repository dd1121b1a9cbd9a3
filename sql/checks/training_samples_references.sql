-- Samples and impressions, clicked samples and conversions, or conversions and clicks that do not match up.
--
-- Matched are the key and what the one copies from the other: the click, the watch ratio, the conversion.
--
-- grain:   one key that stands on one side more often than on the other
-- key:     user_id, video_id, occurred_at, compared
-- inputs:
--   training.samples[0](user_id, video_id, occurred_at, is_click, watch_ratio, is_converted),
--   samples.impressions[0](user_id, video_id, occurred_at, is_click),
--   samples.clicks[0](user_id, video_id, occurred_at),
--   samples.conversions[0](user_id, video_id, occurred_at, watch_ratio, is_converted)
-- params:  $dt, the day
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   compared     varchar    what should match what
--   n_first      bigint     times it stands among the first
--   n_second     bigint     times it stands, the same, among the second

with

counted as (

    select
        user_id,
        video_id,
        occurred_at,
        is_click,
        null as watch_ratio,
        null as is_converted,
        'samples and impressions' as compared,
        1 as n_first,
        0 as n_second
    from training.samples
    union all by name
    select
        *,
        'samples and impressions' as compared,
        0 as n_first,
        1 as n_second
    from samples.impressions
    union all by name
    select
        *,
        'clicked samples and conversions' as compared,
        1 as n_first,
        0 as n_second
    from training.samples
    where is_click
    union all by name
    select
        *,
        true as is_click,
        'clicked samples and conversions' as compared,
        0 as n_first,
        1 as n_second
    from samples.conversions
    union all by name
    select
        user_id,
        video_id,
        occurred_at,
        'conversions and clicks' as compared,
        1 as n_first,
        0 as n_second
    from samples.conversions
    union all by name
    select
        user_id,
        video_id,
        occurred_at,
        'conversions and clicks' as compared,
        0 as n_first,
        1 as n_second
    from samples.clicks

),

-- Two bags of rows of one size with one sum of their 64-bit hashes are the same, but for a chance of one in
-- 2^64. Only where they differ the rows are grouped, which costs ten times as much.
of_samples as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at, is_click)) as digest,
        count(*) filter (where is_click) as n_clicked,
        sum(hash(user_id, video_id, occurred_at, watch_ratio, is_converted)) filter (
            where is_click
        ) as digest_of_clicked
    from training.samples

),

of_impressions as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at, is_click)) as digest
    from samples.impressions

),

of_conversions as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at, watch_ratio, is_converted)) as digest,
        sum(hash(user_id, video_id, occurred_at)) as digest_of_keys
    from samples.conversions

),

of_clicks as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at)) as digest
    from samples.clicks

),

differing as (

    select 1 as one
    from of_samples cross join of_impressions cross join of_conversions cross join of_clicks
    where
        of_samples.n <> of_impressions.n
        or of_samples.digest is distinct from of_impressions.digest
        or of_samples.n_clicked <> of_conversions.n
        or of_samples.digest_of_clicked is distinct from of_conversions.digest
        or of_conversions.n <> of_clicks.n
        or of_conversions.digest_of_keys is distinct from of_clicks.digest

),

matched as (

    select
        counted.user_id,
        counted.video_id,
        counted.occurred_at,
        counted.compared,
        sum(counted.n_first) as n_first,
        sum(counted.n_second) as n_second
    from counted
    cross join differing
    group by
        counted.user_id,
        counted.video_id,
        counted.occurred_at,
        counted.compared,
        counted.is_click,
        counted.watch_ratio,
        counted.is_converted

)

select
    cast($dt as date) as dt,
    user_id,
    video_id,
    occurred_at,
    compared,
    cast(max(n_first) as bigint) as n_first,
    cast(max(n_second) as bigint) as n_second
from matched
where n_first <> n_second
group by user_id, video_id, occurred_at, compared
order by user_id, video_id, occurred_at, compared
