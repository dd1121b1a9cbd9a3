-- Samples with a feature outside its embedding: bucket ids lie in [0, number of buckets).
--
-- grain:    one faulty sample
-- key:      user_id, video_id, occurred_at
-- inputs:   training.samples[0]
-- compiled: $faulty_features
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   $faulty_features

with

judged as (

    select
        dt,
        user_id,
        video_id,
        occurred_at,
        $faulty_features
    from training.samples

)

select
    dt,
    user_id,
    video_id,
    occurred_at,
    faulty_features
from judged
where len(faulty_features) > 0
order by user_id, video_id, occurred_at
