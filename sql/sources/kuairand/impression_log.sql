-- What KuaiRand's standard logs say was shown, row by row; typed, not cleaned.
--
-- The logs of randomly exposed videos (log_random_*) are left out: they are an experiment, not the feed.
--
-- grain:   one delivered row
-- key:     none, rows may repeat
-- inputs:  raw.log(user_id, video_id, date, time_ms, is_click, is_like, is_follow, is_comment, is_forward,
--            long_view, play_time_ms, duration_ms, tab)
-- columns:
--   dt            date       the file's date: the day in Beijing, by the app's own reckoning
--   occurred_at   timestamp  when it was shown, UTC
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   page          varchar    the tab of the app it was shown on
--   position      integer    unknown here: NULL
--   is_click      boolean    was it clicked; in the single-column feed, a valid play
--   play_ms       bigint     how long it played
--   duration_ms   bigint     how long the video is
--   is_like       boolean    was it liked
--   is_follow     boolean    was its author followed
--   is_comment    boolean    was it commented on
--   is_forward    boolean    was it forwarded
--   is_long_view  boolean    the app's own mark of a long view

select
    -- Eight digits: reading alone would take 'infinity' for a day, and nobody would miss the row.
    case when regexp_full_match(log.date, '[0-9]{8}') then try_strptime(log.date, '%Y%m%d')::date end as dt,
    -- Milliseconds beyond the year 9999 are no time; converting them would fail the whole file.
    case
        when try_cast(log.time_ms as bigint) between 0 and 253402300799999
            then epoch_ms(try_cast(log.time_ms as bigint))
    end as occurred_at,
    log.user_id,
    log.video_id,
    log.tab as page,
    null::integer as position,
    try_cast(log.is_click as boolean) as is_click,
    try_cast(log.play_time_ms as bigint) as play_ms,
    try_cast(log.duration_ms as bigint) as duration_ms,
    try_cast(log.is_like as boolean) as is_like,
    try_cast(log.is_follow as boolean) as is_follow,
    try_cast(log.is_comment as boolean) as is_comment,
    try_cast(log.is_forward as boolean) as is_forward,
    try_cast(log.long_view as boolean) as is_long_view
from raw.log
order by all
