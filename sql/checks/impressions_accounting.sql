-- Whether every delivered row is accounted for: accepted + rejected = delivered.
--
-- grain:   the day
-- key:     measure
-- inputs:
--   samples.impressions[0](user_id), source.impression_log[0](user_id),
--   samples.screened_impressions[0](user_id, reject_reason)
-- params:  $dt, the day
-- columns:
--   dt        date     business day of the source
--   measure   varchar  rows
--   delivered bigint   rows of the log
--   accepted  bigint   impressions
--   rejected  bigint   rows that screening refused, with a reason
--   is_fault  boolean  the sum does not add up

with

counted as (

    select
        (select count(*) from source.impression_log) as delivered,
        (select count(*) from samples.impressions) as accepted,
        (select count(s.reject_reason) from samples.screened_impressions as s) as rejected

)

select
    cast($dt as date) as dt,
    'rows' as measure,
    delivered,
    accepted,
    rejected,
    accepted + rejected <> delivered as is_fault
from counted
order by measure
