-- Logs that already are what lt4rec reads: the columns below, from Parquet or CSV, whatever their types.
--
-- Only the first seven are required; a file without the others delivers NULL for them.
--
-- grain:   one delivered row
-- key:     none, rows may repeat
-- inputs:  raw.impressions(dt, occurred_at, user_id, video_id, is_click, play_ms, duration_ms, page?,
--            position?, is_like?, is_follow?, is_comment?, is_forward?, is_long_view?)
-- columns:
--   dt            date       the day it was delivered for, UTC
--   occurred_at   timestamp  when it was shown, UTC unless it names an offset, as in 2026-03-02T09:00+01:00
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   page          varchar    where it was shown
--   position      integer    rank on the page, from 1
--   is_click      boolean    was it clicked
--   play_ms       bigint     how long it played
--   duration_ms   bigint     how long the video is
--   is_like       boolean    was it liked
--   is_follow     boolean    was its author followed
--   is_comment    boolean    was it commented on
--   is_forward    boolean    was it forwarded
--   is_long_view  boolean    the platform's own mark of a long view

select
    -- 'infinity' reads as a day, of which nobody would miss the row.
    case when isfinite(try_cast(dt as date)) then try_cast(dt as date) end as dt,
    -- As timestamp alone, an offset would be read and forgotten.
    timezone('UTC', try_cast(occurred_at as timestamptz)) as occurred_at,
    user_id::varchar as user_id,
    video_id::varchar as video_id,
    page::varchar as page,
    try_cast(position as integer) as position,
    try_cast(is_click as boolean) as is_click,
    try_cast(play_ms as bigint) as play_ms,
    try_cast(duration_ms as bigint) as duration_ms,
    try_cast(is_like as boolean) as is_like,
    try_cast(is_follow as boolean) as is_follow,
    try_cast(is_comment as boolean) as is_comment,
    try_cast(is_forward as boolean) as is_forward,
    try_cast(is_long_view as boolean) as is_long_view
from raw.impressions
order by all
