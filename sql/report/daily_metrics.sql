-- Metrics of whole days, with their intervals.
-- inputs: evaluation.daily_metrics

select
    dt,
    model,
    task,
    metric,
    value,
    ci_low,
    ci_high,
    n,
    is_after_ticket_window
from evaluation.daily_metrics
where slice = 'all' and dt between $first and $last
order by dt, task, metric, model
