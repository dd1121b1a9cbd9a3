-- Impressions that are not exactly what screening accepted: added, lost or changed on the way.
--
-- grain:   one row that stands on one side more often than on the other
-- key:     user_id, video_id, occurred_at, is_click, play_ms, duration_ms
-- inputs:
--   samples.impressions[0](user_id, video_id, occurred_at, is_click, play_ms, duration_ms),
--   samples.screened_impressions[0](user_id, video_id, occurred_at, is_click, play_ms, duration_ms,
--     reject_reason)
-- params:  $dt, the day
-- columns:
--   dt             date       business day of the source
--   user_id        varchar    who saw it
--   video_id       varchar    what was shown
--   occurred_at    timestamp  when it was shown, UTC
--   is_click       boolean    whether it was clicked
--   play_ms        bigint     how long it played
--   duration_ms    bigint     length of the video
--   n_accepted     bigint     times screening accepted it
--   n_impressions  bigint     times it is an impression

with

counted as (

    select
        user_id,
        video_id,
        occurred_at,
        is_click,
        play_ms,
        duration_ms,
        1 as n_accepted,
        0 as n_impressions
    from samples.screened_impressions
    where reject_reason is null
    union all
    select
        user_id,
        video_id,
        occurred_at,
        is_click,
        play_ms,
        duration_ms,
        0 as n_accepted,
        1 as n_impressions
    from samples.impressions

),

-- Two bags of rows of one size with one sum of their 64-bit hashes are the same, but for a chance of one in
-- 2^64. Only where they differ the rows are grouped, which costs ten times as much.
accepted as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at, is_click, play_ms, duration_ms)) as digest
    from samples.screened_impressions
    where reject_reason is null

),

published as (

    select
        count(*) as n,
        sum(hash(user_id, video_id, occurred_at, is_click, play_ms, duration_ms)) as digest
    from samples.impressions

),

differing as (

    select 1 as one
    from accepted cross join published
    where accepted.n <> published.n or accepted.digest is distinct from published.digest

)

select
    cast($dt as date) as dt,
    counted.user_id,
    counted.video_id,
    counted.occurred_at,
    counted.is_click,
    counted.play_ms,
    counted.duration_ms,
    cast(sum(counted.n_accepted) as bigint) as n_accepted,
    cast(sum(counted.n_impressions) as bigint) as n_impressions
from counted
cross join differing
group by
    counted.user_id,
    counted.video_id,
    counted.occurred_at,
    counted.is_click,
    counted.play_ms,
    counted.duration_ms
having sum(counted.n_accepted) <> sum(counted.n_impressions)
order by
    counted.user_id,
    counted.video_id,
    counted.occurred_at,
    counted.is_click,
    counted.play_ms,
    counted.duration_ms
