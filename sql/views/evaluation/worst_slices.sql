-- For whom and for what the models are worst: each slice beside all impressions, ranked.
--
-- A slice of fewer than 100 impressions is shown but not ranked: its value is mostly noise.
--
-- grain:   one day, model, task, metric and slice
-- key:     dt, model, task, metric, slice
-- inputs:  evaluation.daily_metrics
-- columns:
--   dt                      date     day the predictions are of
--   model                   varchar  snet, baseline, constant or oracle
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric                  varchar  auc, mse, log_loss or pcoc (predicted over observed)
--   dimension               varchar  is_new_user, is_new_video, page, duration or activity
--   slice                   varchar  name=value
--   worst_rank              bigint   1 is the worst; NULL below 100 impressions, or where there is no value
--   value                   double   of the slice
--   overall                 double   of all impressions
--   worse_by                double   how much worse than overall, below 0 if better: what auc lacks, what
--                                    mse and log_loss have in excess, how much further from 1 pcoc is
--   n                       bigint   impressions behind the value
--   share                   double   share of the impressions that the slice holds
--   is_after_ticket_window  boolean  whether the day lies after the ticket window

with

beside as (

    select
        s.dt,
        s.model,
        s.task,
        s.metric,
        split_part(s.slice, '=', 1) as dimension,
        s.slice,
        s.value,
        o.value as overall,
        case
            when s.metric = 'auc' then o.value - s.value
            when s.metric = 'pcoc' then abs(s.value - 1) - abs(o.value - 1)
            else s.value - o.value
        end as worse_by,
        s.n,
        s.n / nullif(o.n, 0) as share,
        s.is_after_ticket_window
    from evaluation.daily_metrics as s
    inner join evaluation.daily_metrics as o
        on
            s.dt = o.dt
            and s.model = o.model
            and s.task = o.task
            and s.metric = o.metric
            and o.slice = 'all'
    where s.slice <> 'all'

)

select
    dt,
    model,
    task,
    metric,
    dimension,
    slice,
    case
        when n >= 100 and worse_by is not null then rank() over (
            partition by dt, model, task, metric, n >= 100 and worse_by is not null
            order by worse_by desc
        )
    end as worst_rank,
    value,
    overall,
    worse_by,
    n,
    share,
    is_after_ticket_window
from beside
