-- What was clicked, and how long it played: the samples of the watch task.
--
-- grain:   one clicked impression
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.impressions[0](
--            user_id, video_id, occurred_at, page, position, is_click, play_ms, duration_ms)
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who clicked
--   video_id     varchar    what was clicked
--   occurred_at  timestamp  when it was shown, UTC
--   page         varchar    where it was shown
--   position     integer    rank on the page, from 1
--   play_ms      bigint     how long it played
--   duration_ms  bigint     how long the video is

select
    dt,
    user_id,
    video_id,
    occurred_at,
    page,
    position,
    play_ms,
    duration_ms
from samples.impressions
where is_click
order by user_id, video_id, occurred_at
