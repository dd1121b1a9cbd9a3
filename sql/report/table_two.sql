-- The paper's Table 2: every complete row of the race and its references, whatever the days of the report.
-- inputs: experiments.offline_comparison

select *
from experiments.variant_comparison
-- Another test day is another race; the newest counts.
qualify dt = max(dt) over ()
order by variant
