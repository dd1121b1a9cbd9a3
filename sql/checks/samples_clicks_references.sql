-- Clicks and clicked impressions that do not match up.
--
-- grain:   one key that stands on one side more often than on the other
-- key:     user_id, video_id, occurred_at
-- inputs:
--   samples.clicks[0](user_id, video_id, occurred_at, play_ms, duration_ms),
--   samples.impressions[0](user_id, video_id, occurred_at, play_ms, duration_ms, is_click)
-- params:  $dt, the day
-- columns:
--   dt             date       business day of the source
--   user_id        varchar    who clicked
--   video_id       varchar    what was clicked
--   occurred_at    timestamp  when it was shown, UTC
--   n_clicks       bigint     times it stands among the clicks
--   n_impressions  bigint     times it stands, with the same play, among the clicked impressions

with

counted as (

    select
        * exclude (dt),
        1 as n_clicks,
        0 as n_impressions
    from samples.clicks
    union all by name
    select
        * exclude (dt, is_click),
        0 as n_clicks,
        1 as n_impressions
    from samples.impressions
    where is_click

),

matched as (

    select
        user_id,
        video_id,
        occurred_at,
        sum(n_clicks) as n_clicks,
        sum(n_impressions) as n_impressions
    from counted
    group by user_id, video_id, occurred_at, play_ms, duration_ms

)

select
    cast($dt as date) as dt,
    user_id,
    video_id,
    occurred_at,
    cast(max(n_clicks) as bigint) as n_clicks,
    cast(max(n_impressions) as bigint) as n_impressions
from matched
where n_clicks <> n_impressions
group by user_id, video_id, occurred_at
order by user_id, video_id, occurred_at
