-- Samples that no key names, or whose key stands twice.
--
-- grain:   one faulty key
-- key:     user_id, video_id, occurred_at
-- inputs:  training.samples[0](user_id, video_id, occurred_at)
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   n_rows       bigint     rows of this key; each should have one

select
    dt,
    user_id,
    video_id,
    occurred_at,
    count(*) as n_rows
from training.samples
group by dt, user_id, video_id, occurred_at
having count(*) > 1 or user_id is null or video_id is null or occurred_at is null
order by user_id, video_id, occurred_at
