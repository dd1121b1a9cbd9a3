-- Predictions that no key names, or whose key stands twice.
--
-- grain:   one faulty key
-- key:     model, user_id, video_id, occurred_at
-- inputs:  evaluation.predictions[0](model, user_id, video_id, occurred_at)
-- columns:
--   dt           date       business day of the source
--   model        varchar    which model
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   n_rows       bigint     rows of this key; each should have one

select
    dt,
    model,
    user_id,
    video_id,
    occurred_at,
    count(*) as n_rows
from evaluation.predictions
group by dt, model, user_id, video_id, occurred_at
having count(*) > 1 or model is null or user_id is null or video_id is null or occurred_at is null
order by model, user_id, video_id, occurred_at
