-- How much of each clicked video was watched: the label of the watch task, for every click.
--
-- grain:   one click, the same as in samples.clicks
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.clicks[0](user_id, video_id, occurred_at, play_ms, duration_ms)
-- params:  $conversion_threshold, share of the video from which a click counts as converted
-- columns:
--   dt            date       business day of the source
--   user_id       varchar    who clicked
--   video_id      varchar    what was clicked
--   occurred_at   timestamp  when it was shown, UTC
--   play_ms       bigint     how long it played
--   duration_ms   bigint     how long the video is
--   watch_ratio   double     share of the video that played, in [0, 1]; a play beyond the end counts as 1
--   is_converted  boolean    whether that is at least the threshold

with

watched as (

    select
        *,
        least(play_ms / duration_ms, 1.0::double) as watch_ratio
    from samples.clicks

)

select
    dt,
    user_id,
    video_id,
    occurred_at,
    play_ms,
    duration_ms,
    watch_ratio,
    watch_ratio >= $conversion_threshold as is_converted
from watched
order by user_id, video_id, occurred_at
