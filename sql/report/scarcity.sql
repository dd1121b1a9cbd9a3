-- CVR in the race with fewer labels, whatever the days of the report.
-- inputs: experiments.label_scarcity

select
    dt,
    label_share,
    variant,
    n_seeds,
    value,
    difference / reference_value as relative,
    ci_low / reference_value as low,
    ci_high / reference_value as high
from experiments.label_scarcity
where metric = 'cvr_mse'
qualify dt = max(dt) over ()
order by label_share desc, variant asc
