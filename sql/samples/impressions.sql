-- What was shown, and whether it was clicked: the accepted rows.
--
-- grain:   one accepted impression
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.screened_impressions[0]
-- columns:
--   dt            date       business day of the source
--   occurred_at   timestamp  when it was shown, UTC
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   page          varchar    where it was shown
--   position      integer    rank on the page, from 1
--   is_click      boolean    was it clicked
--   play_ms       bigint     how long it played
--   duration_ms   bigint     how long the video is
--   is_like       boolean    was it liked; NULL where the source does not say, as in the next four
--   is_follow     boolean    was its author followed
--   is_comment    boolean    was it commented on
--   is_forward    boolean    was it forwarded
--   is_long_view  boolean    the source's own mark of a long view

select
    dt,
    occurred_at,
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
from samples.screened_impressions
where reject_reason is null
order by user_id, video_id, occurred_at
