-- The paper's Table 3: policies that rank by Eq. 3, whatever the days of the report.
-- inputs: experiments.online_simulation

select
    dt,
    data,
    metric,
    policy,
    n_seeds,
    value,
    reference,
    relative,
    ci_low / nullif(reference_value, 0) as low,
    ci_high / nullif(reference_value, 0) as high
from experiments.online_simulation
qualify dt = max(dt) over ()
order by data desc, metric asc, policy asc
