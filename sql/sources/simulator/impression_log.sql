-- The log of the simulated platform, as delivered: typed, not cleaned.
-- About one row in two hundred is spoiled on purpose, as real logs are; screening finds them.
--
-- grain:    one delivered row
-- key:      none, a row may be delivered twice
-- inputs:   raw.impressions(date, time_ms, user_id, video_id, page, position, is_click, play_ms, duration_ms,
--             is_like, is_follow, is_comment, is_forward, is_long_view)
-- columns:
--   dt            date       day on which the session began, UTC
--   occurred_at   timestamp  when the video was shown, UTC; a session may run past midnight
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   page          varchar    feed, discover, follow or search; one page a session
--   position      integer    place in the session, from 1
--   is_click      boolean    whether the user clicked
--   play_ms       bigint     milliseconds played; without a click, the preview of the feed
--   duration_ms   bigint     length of the video in milliseconds
--   is_like       boolean    clicked and liked
--   is_follow     boolean    clicked and followed the author
--   is_comment    boolean    clicked and commented
--   is_forward    boolean    clicked and forwarded
--   is_long_view  boolean    clicked and played for 18 seconds, or the whole of a shorter video

select
    date as dt,
    make_timestamp_ms(time_ms) as occurred_at,
    user_id,
    video_id,
    page,
    position,
    is_click,
    play_ms,
    duration_ms,
    is_like,
    is_follow,
    is_comment,
    is_forward,
    is_long_view
from raw.impressions
order by all
