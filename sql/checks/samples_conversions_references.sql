-- Conversions and clicks that do not match up.
--
-- grain:   one key that stands on one side more often than on the other
-- key:     user_id, video_id, occurred_at
-- inputs:
--   samples.conversions[0](user_id, video_id, occurred_at, play_ms, duration_ms),
--   samples.clicks[0](user_id, video_id, occurred_at, play_ms, duration_ms)
-- params:  $dt, the day
-- columns:
--   dt             date       business day of the source
--   user_id        varchar    who clicked
--   video_id       varchar    what was clicked
--   occurred_at    timestamp  when it was shown, UTC
--   n_conversions  bigint     times it stands among the conversions
--   n_clicks       bigint     times it stands, with the same play, among the clicks

with

counted as (

    select
        * exclude (dt),
        1 as n_conversions,
        0 as n_clicks
    from samples.conversions
    union all by name
    select
        * exclude (dt),
        0 as n_conversions,
        1 as n_clicks
    from samples.clicks

),

matched as (

    select
        user_id,
        video_id,
        occurred_at,
        sum(n_conversions) as n_conversions,
        sum(n_clicks) as n_clicks
    from counted
    group by user_id, video_id, occurred_at, play_ms, duration_ms

)

select
    cast($dt as date) as dt,
    user_id,
    video_id,
    occurred_at,
    cast(max(n_conversions) as bigint) as n_conversions,
    cast(max(n_clicks) as bigint) as n_clicks
from matched
where n_conversions <> n_clicks
group by user_id, video_id, occurred_at
order by user_id, video_id, occurred_at
