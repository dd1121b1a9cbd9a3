-- Whether predictions mean what they say: predicted and actual means of ten parts, ordered by prediction.
--
-- Means are of decimals of 15 places, exact in any order of the rows.
--
-- grain:   one model, task and decile
-- key:     model, task, decile
-- inputs:  evaluation.predictions[0]
-- params:  $dt, day the predictions are of
-- columns:
--   dt         date     day the predictions are of
--   model      varchar  snet or baseline
--   task       varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   decile     integer  1 holds the lowest predictions, 10 the highest; ten rows or more fill all
--   predicted  double   mean prediction
--   actual     double   mean label: clicks, watch ratio, or watch ratio with 0 for no click
--   n          bigint   impressions in the decile

with

judged as (

    select
        s.model,
        of_task.task,
        of_task.score,
        of_task.label,
        ntile(10) over (
            partition by s.model, of_task.task
            order by of_task.score, s.user_id, s.video_id, s.occurred_at
        ) as decile
    from evaluation.predictions as s
    cross join
        lateral (
            values
            ('ctr', s.p_ctr, cast(s.is_click as double), true),
            ('cvr', s.p_cvr, s.watch_ratio, s.is_click),
            ('ctcvr', s.p_ctcvr, coalesce(s.watch_ratio, 0), true),
            ('like', s.p_like, cast(s.is_like as double), s.p_like is not null),
            ('follow', s.p_follow, cast(s.is_follow as double), s.p_follow is not null),
            ('comment', s.p_comment, cast(s.is_comment as double), s.p_comment is not null),
            ('forward', s.p_forward, cast(s.is_forward as double), s.p_forward is not null),
            ('long_view', s.p_long_view, cast(s.is_long_view as double), s.p_long_view is not null)
        ) as of_task (task, score, label, is_sample)
    where of_task.is_sample and of_task.label is not null

)

select
    cast($dt as date) as dt,
    model,
    task,
    cast(decile as integer) as decile,
    sum(cast(score as decimal(18, 15))) / count(*) as predicted,
    sum(cast(label as decimal(18, 15))) / count(*) as actual,
    count(*) as n
from judged
group by model, task, decile
order by model, task, decile
