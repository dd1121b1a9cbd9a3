-- Samples whose labels contradict themselves: only a click is watched, and a ratio lies in [0, 1].
--
-- grain:   one faulty sample
-- key:     user_id, video_id, occurred_at
-- inputs:  training.samples[0](user_id, video_id, occurred_at, is_click, watch_ratio, is_converted)
-- columns:
--   dt            date       business day of the source
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   occurred_at   timestamp  when it was shown, UTC
--   is_click      boolean    should be there
--   watch_ratio   double     should be there exactly for a click, finite and in [0, 1]
--   is_converted  boolean    should be there exactly for a click

select
    dt,
    user_id,
    video_id,
    occurred_at,
    is_click,
    watch_ratio,
    is_converted
from training.samples
where
    is_click is null
    or is_click <> (watch_ratio is not null)
    or is_click <> (is_converted is not null)
    or watch_ratio not between 0 and 1
    -- Said apart: a file's statistics leave NaN out, and DuckDB trusts them when it compares.
    or not isfinite(watch_ratio)
order by user_id, video_id, occurred_at
