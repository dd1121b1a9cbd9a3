-- Whether predictions mean what they say in every slice: predicted over observed, 1 is right.
--
-- By height of the prediction instead of by slice: evaluation.calibration.
--
-- grain:   one day, model, task and slice
-- key:     dt, model, task, slice
-- inputs:  evaluation.daily_metrics
-- columns:
--   dt                      date     day the predictions are of
--   model                   varchar  snet, baseline, constant or oracle
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   dimension               varchar  all, is_new_user, is_new_video, page, duration or activity
--   slice                   varchar  all, or name=value
--   pcoc                    double   predicted over observed; NULL where nothing was observed
--   too_high_by             double   what the predictions have in excess, as a share of what was observed
--   n                       bigint   impressions behind it
--   is_after_ticket_window  boolean  whether the day lies after the ticket window

select
    dt,
    model,
    task,
    split_part(slice, '=', 1) as dimension,
    slice,
    value as pcoc,
    value - 1 as too_high_by,
    n,
    is_after_ticket_window
from evaluation.daily_metrics
where metric = 'pcoc'
