-- What changed overnight: the newest day that was measured beside the one measured before it.
--
-- grain:   one model, task, metric and slice of the newest day
-- key:     model, task, metric, slice
-- inputs:  evaluation.daily_metrics
-- columns:
--   dt                   date     the newest day
--   compared_with        date     the day before it that was measured; NULL if there is none
--   model                varchar  snet, baseline, constant or oracle
--   task                 varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric               varchar  auc, gauc, mse, log_loss or pcoc (predicted over observed)
--   slice                varchar  all, or name=value
--   today                double   value of the newest day
--   yesterday            double   value of the day before
--   difference           double   today less yesterday
--   relative             double   difference as a share of yesterday's value
--   is_better            boolean  whether today is: higher for auc and gauc, lower for mse and
--                                    log_loss, nearer to 1 for pcoc
--   is_outside_interval  boolean  whether today lies outside yesterday's 95 % interval over users;
--                                    NULL where there is none
--   n_today              bigint   impressions behind today's value
--   n_yesterday          bigint   impressions behind yesterday's

with

days as (

    select
        max(dt) as today,
        max(dt) filter (where dt < (select max(m.dt) from evaluation.daily_metrics as m)) as yesterday
    from evaluation.daily_metrics

),

measured as (

    select
        days.yesterday as compared_with,
        metrics.*
    from evaluation.daily_metrics as metrics
    inner join days on metrics.dt = days.today

),

before as (

    select metrics.*
    from evaluation.daily_metrics as metrics
    inner join days on metrics.dt = days.yesterday

)

select
    t.dt,
    t.compared_with,
    t.model,
    t.task,
    t.metric,
    t.slice,
    t.value as today,
    y.value as yesterday,
    t.value - y.value as difference,
    (t.value - y.value) / nullif(y.value, 0) as relative,
    case
        when t.metric in ('auc', 'gauc') then t.value > y.value
        when t.metric = 'pcoc' then abs(t.value - 1) < abs(y.value - 1)
        else t.value < y.value
    end as is_better,
    t.value not between y.ci_low and y.ci_high as is_outside_interval,
    t.n as n_today,
    y.n as n_yesterday
from measured as t
left join before as y
    on t.model = y.model and t.task = y.task and t.metric = y.metric and t.slice = y.slice
