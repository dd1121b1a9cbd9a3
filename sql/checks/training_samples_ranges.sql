-- Samples with a feature outside its embedding: bucket ids lie in [0, number of buckets).
--
-- grain:    one faulty sample
-- key:      user_id, video_id, occurred_at
-- inputs:   training.samples[0]
-- compiled: $faulty_features, $is_outside
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   $faulty_features

with

-- Asked first: of most columns the file's statistics say it. Without one such sample DuckDB then leaves off
-- after the first rows, as long as what is asked of them needs this row too.
outside as (

    select 0 as n_faults
    from training.samples
    where $is_outside
    having count(*) > 0

),

judged as (

    select
        samples.dt,
        samples.user_id,
        samples.video_id,
        samples.occurred_at,
        outside.n_faults,
        $faulty_features -- noqa: RF02
    from training.samples as samples
    cross join outside

)

select
    dt,
    user_id,
    video_id,
    occurred_at,
    faulty_features
from judged
where len(faulty_features) > n_faults
order by user_id, video_id, occurred_at
