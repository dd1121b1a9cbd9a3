-- Metrics with impossible values: an AUC outside [0, 1], a negative error, an interval upside down.
--
-- A metric that the rows do not define is NULL, and no fault.
--
-- grain:   one faulty metric
-- key:     model, task, slice, metric
-- inputs:  evaluation.daily_metrics[0]
-- columns:
--   dt       date     business day of the source
--   model    varchar  which model
--   task     varchar  which task
--   metric   varchar  which metric
--   slice    varchar  of which impressions
--   value    double   should be in [0, 1] for auc and gauc, and at least 0 for the others
--   n        bigint   should be at least 0
--   ci_low   double   should be at most ci_high, and finite
--   ci_high  double   likewise

select
    dt,
    model,
    task,
    metric,
    slice,
    value,
    n,
    ci_low,
    ci_high
from evaluation.daily_metrics
where
    n is null
    or n < 0
    or value < 0
    or (metric in ('auc', 'gauc') and value > 1)
    or ci_low > ci_high
    or not isfinite(value)
    or not isfinite(ci_low)
    or not isfinite(ci_high)
order by model, task, slice, metric
