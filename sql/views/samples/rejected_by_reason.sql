-- How many delivered rows were rejected, by day and reason; samples.rejected_impressions holds the rows.
--
-- grain:   one day and reason
-- key:     dt, reject_reason
-- inputs:  samples.screened_impressions
-- columns:
--   dt             date     business day of the source
--   reject_reason  varchar  unreadable, non_positive_duration, negative_play, wrong_day or duplicate
--   n_rejected     bigint   rows that were rejected for it
--   n_delivered    bigint   rows of the day, accepted or not
--   share          double   rejected for it, of those delivered

with

counted as (

    select
        dt,
        reject_reason,
        count(*) as n_rejected,
        cast(sum(count(*)) over (partition by dt) as bigint) as n_delivered
    from samples.screened_impressions
    group by dt, reject_reason

)

select
    dt,
    reject_reason,
    n_rejected,
    n_delivered,
    n_rejected / n_delivered as share
from counted
where reject_reason is not null
