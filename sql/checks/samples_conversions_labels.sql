-- Clicks whose watch ratio is missing or impossible, or whose conversion is not the ratio's.
--
-- grain:   one faulty click
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.conversions[0]
-- params:  $conversion_threshold, share of the video from which a click counts as converted
-- columns:
--   dt            date       business day of the source
--   user_id       varchar    who clicked
--   video_id      varchar    what was clicked
--   occurred_at   timestamp  when it was shown, UTC
--   watch_ratio   double     should be in [0, 1]
--   is_converted  boolean    should be whether that is at least the threshold

select
    dt,
    user_id,
    video_id,
    occurred_at,
    watch_ratio,
    is_converted
from samples.conversions
where
    watch_ratio is null
    or watch_ratio not between 0 and 1
    -- Said apart: a file's statistics leave NaN out, and DuckDB trusts them when it compares.
    or not isfinite(watch_ratio)
    or is_converted is distinct from (watch_ratio >= $conversion_threshold)
order by user_id, video_id, occurred_at
