-- Rows that cannot be used, by reason.
-- inputs: samples.screened_impressions

with

delivered as (

    select
        dt,
        n_delivered
    from samples.funnel_over_time
    where dt between $first and $last

)

select
    reject_reason,
    cast(sum(n_rejected) as bigint) as n_rows,
    n_rows / (select sum(delivered.n_delivered) from delivered) as share,
    count(*) as n_days,
    min(dt) as first_day,
    max(dt) as last_day
from samples.rejected_by_reason
where dt between $first and $last
group by reject_reason
order by n_rows desc, reject_reason asc
