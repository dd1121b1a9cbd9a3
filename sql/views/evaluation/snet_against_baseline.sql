-- Whether sNET beats its dense baseline, day by day: the question that decides if the tickets are worth it.
--
-- grain:   one day, task, metric and slice that both models were measured on
-- key:     dt, task, metric, slice
-- inputs:  evaluation.daily_metrics
-- columns:
--   dt                      date     day the predictions are of
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric                  varchar  auc, gauc, mse, log_loss or pcoc (predicted over observed)
--   slice                   varchar  all, or name=value
--   snet                    double   the value of sNET
--   baseline                double   the value of the dense single-task models
--   constant                double   the value of the mean label of the days before; NULL where there is none
--   oracle                  double   the value of the true probabilities; NULL where the source has none
--   difference              double   snet less baseline
--   relative                double   difference as a share of the baseline's value
--   is_better               boolean  whether sNET is: higher for auc and gauc, lower for mse and
--                                    log_loss, nearer to 1 for pcoc
--   difference_7d           double   mean difference of this day and the six before
--   n                       bigint   impressions behind the day's values
--   is_after_ticket_window  boolean  whether the day lies after the ticket window

with

beside as (

    select
        dt,
        task,
        metric,
        slice,
        max(value) filter (where model = 'snet') as snet,
        max(value) filter (where model = 'baseline') as baseline,
        max(value) filter (where model = 'constant') as constant,
        max(value) filter (where model = 'oracle') as oracle,
        max(n) filter (where model = 'snet') as n,
        bool_and(is_after_ticket_window) as is_after_ticket_window
    from evaluation.daily_metrics
    group by dt, task, metric, slice
    having count(*) filter (where model = 'snet') > 0 and count(*) filter (where model = 'baseline') > 0

)

select
    dt,
    task,
    metric,
    slice,
    snet,
    baseline,
    constant,
    oracle,
    snet - baseline as difference,
    (snet - baseline) / nullif(baseline, 0) as relative,
    case
        when metric in ('auc', 'gauc') then snet > baseline
        when metric = 'pcoc' then abs(snet - 1) < abs(baseline - 1)
        else snet < baseline
    end as is_better,
    avg(snet - baseline) over (
        partition by task, metric, slice
        order by dt
        range between interval 6 days preceding and current row
    ) as difference_7d,
    n,
    is_after_ticket_window
from beside
