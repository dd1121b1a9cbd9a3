-- Predictions whose copied labels or slices are not those of their sample.
--
-- A prediction without a sample is coverage's fault, not this check's.
--
-- grain:   one faulty prediction
-- key:     model, user_id, video_id, occurred_at
-- inputs:  evaluation.predictions[0], training.samples[0]
-- columns:
--   dt           date       business day of the source
--   model        varchar    which model
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   is_click     boolean    as predictions have it
--   watch_ratio  double     as predictions have it

with

faulty as (

    select
        p.dt,
        p.model,
        p.user_id,
        p.video_id,
        p.occurred_at,
        p.is_click,
        p.watch_ratio
    from evaluation.predictions as p
    inner join training.samples as s
        on p.user_id = s.user_id and p.video_id = s.video_id and p.occurred_at = s.occurred_at
    where
        p.is_click is distinct from s.is_click
        or p.watch_ratio is distinct from s.watch_ratio
        or p.is_converted is distinct from s.is_converted
        or p.is_like is distinct from s.is_like
        or p.is_follow is distinct from s.is_follow
        or p.is_comment is distinct from s.is_comment
        or p.is_forward is distinct from s.is_forward
        or p.is_long_view is distinct from s.is_long_view
        or p.page is distinct from s.page
        or p.duration_ms is distinct from s.duration_ms
        or p.is_new_user is distinct from s.is_new_user
        or p.is_new_video is distinct from s.is_new_video

)

select *
from faulty
order by model, user_id, video_id, occurred_at
