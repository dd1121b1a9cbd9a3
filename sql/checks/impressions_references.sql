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

)

select
    cast($dt as date) as dt,
    user_id,
    video_id,
    occurred_at,
    is_click,
    play_ms,
    duration_ms,
    cast(sum(n_accepted) as bigint) as n_accepted,
    cast(sum(n_impressions) as bigint) as n_impressions
from counted
group by user_id, video_id, occurred_at, is_click, play_ms, duration_ms
having sum(n_accepted) <> sum(n_impressions)
order by user_id, video_id, occurred_at, is_click, play_ms, duration_ms
