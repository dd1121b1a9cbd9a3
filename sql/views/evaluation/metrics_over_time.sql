-- How good each model was, day by day, and on average over the last seven days.
--
-- Slice all is the headline; is_after_ticket_window leaves out the days that the tickets saw.
--
-- grain:   one day, model, task, metric and slice
-- key:     dt, model, task, metric, slice
-- inputs:  evaluation.daily_metrics
-- columns:
--   dt                      date     day the predictions are of
--   model                   varchar  snet, baseline, constant or oracle
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric                  varchar  auc, gauc, mse, log_loss or pcoc (predicted over observed)
--   slice                   varchar  all, or name=value
--   value                   double   of the day
--   mean_7d                 double   mean of the values of this day and the six before it
--   n_days_7d               bigint   of these days, those that have a value
--   n                       bigint   impressions behind the day's value
--   ci_low                  double   lower end of the day's 95 % interval over users; NULL but for slice all
--   ci_high                 double   its upper end
--   is_after_ticket_window  boolean  whether the day lies after the ticket window

select
    dt,
    model,
    task,
    metric,
    slice,
    value,
    avg(value) over week as mean_7d,
    count(value) over week as n_days_7d,
    n,
    ci_low,
    ci_high,
    is_after_ticket_window
from evaluation.daily_metrics
window week as (
    partition by model, task, metric, slice
    order by dt
    range between interval 6 days preceding and current row
)
