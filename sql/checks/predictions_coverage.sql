-- Samples that a model did not score exactly once, and scores of what is no sample or of an unknown model.
--
-- grain:   one faulty pair of a model and an impression
-- key:     model, user_id, video_id, occurred_at
-- inputs:
--   evaluation.predictions[0](model, user_id, video_id, occurred_at),
--   training.samples[0](user_id, video_id, occurred_at)
-- params:  $dt, the day
-- columns:
--   dt             date       business day of the source
--   model          varchar    which model
--   user_id        varchar    who saw it
--   video_id       varchar    what was shown
--   occurred_at    timestamp  when it was shown, UTC
--   n_samples      bigint     times the model had to score it: 1, or 0 where it had not
--   n_predictions  bigint     times it did

with

expected as (

    select
        models.model,
        s.user_id,
        s.video_id,
        s.occurred_at,
        1 as n_samples,
        0 as n_predictions
    from training.samples as s cross join (values ('snet'), ('baseline')) as models (model)

),

counted as (

    select * from expected
    union all
    select
        model,
        user_id,
        video_id,
        occurred_at,
        0 as n_samples,
        1 as n_predictions
    from evaluation.predictions

)

select
    cast($dt as date) as dt,
    model,
    user_id,
    video_id,
    occurred_at,
    cast(sum(n_samples) as bigint) as n_samples,
    cast(sum(n_predictions) as bigint) as n_predictions
from counted
group by model, user_id, video_id, occurred_at
having sum(n_samples) <> 1 or sum(n_predictions) <> 1
order by model, user_id, video_id, occurred_at
