-- How each model's MSE compares with that of the constant, the mean label of the days before.
--
-- grain:   one model and task
-- key:     measure
-- inputs:  evaluation.daily_metrics[0](model, task, metric, slice, value)
-- params:  $dt, the day
-- columns:
--   dt        date     business day of the source
--   measure   varchar  model and task, as in snet cvr
--   mse       double   the model's
--   constant  double   the constant's
--   is_fault  boolean  the model is no better than the constant

with

overall as (

    select
        model,
        task,
        value
    from evaluation.daily_metrics
    where metric = 'mse' and slice = 'all' and value is not null

)

select
    cast($dt as date) as dt,
    m.model || ' ' || m.task as measure,
    m.value as mse,
    c.value as constant,
    m.value >= c.value as is_fault
from overall as m
inner join overall as c on m.task = c.task and c.model = 'constant'
where m.model in ('snet', 'baseline')
order by measure
