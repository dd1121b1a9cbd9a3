-- Impressions without a usable label: no word on the click, no play time or an impossible one.
--
-- grain:   one faulty impression
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.impressions[0](user_id, video_id, occurred_at, is_click, play_ms, duration_ms)
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   is_click     boolean    should be there
--   play_ms      bigint     should be 0 or more
--   duration_ms  bigint     should be more than 0

select
    dt,
    user_id,
    video_id,
    occurred_at,
    is_click,
    play_ms,
    duration_ms
from samples.impressions
where
    is_click is null
    or coalesce(play_ms < 0, true)
    or coalesce(duration_ms <= 0, true)
order by user_id, video_id, occurred_at
