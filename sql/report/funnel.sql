-- Each day from what the source delivered to what was watched.
-- inputs: samples.screened_impressions, samples.conversions

select
    dt,
    n_delivered as delivered,
    n_impressions as accepted,
    n_clicks as clicked,
    coalesce(n_conversions, 0) as watched
from samples.funnel_over_time
where dt between $first and $last
order by dt
