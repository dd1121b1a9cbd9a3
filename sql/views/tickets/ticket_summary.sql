-- What each task's ticket is, beside the dense network it was drawn from.
--
-- grain:   one task, its newest ticket
-- key:     task
-- inputs:  tickets.search_rounds
-- columns:
--   dt              date       last day of the ticket window, which validates
--   task            varchar    whose ticket
--   density         double     share of the trunk's weights that it keeps
--   sparsity        double     share that it leaves out
--   n_rounds        integer    times the search pruned
--   chosen_round    integer    the round whose mask it is
--   metric          varchar    what validation measures: auc (more is better) or mse (less is)
--   value           double     that metric of the network trained through the ticket
--   dense_value     double     of the dense network
--   difference      double     value less dense_value
--   standard_error  double     of the value, over validation samples
--   mask_digest     varchar    which mask; two alike are the same mask
--   recorded_at     timestamp  when it was materialised, UTC

with

newest as (

    select
        *,
        max(round) over (partition by task, recorded_at) as n_rounds
    from tickets.search_rounds
    qualify rank() over (partition by task order by recorded_at desc) = 1

)

select
    chosen.dt,
    chosen.task,
    chosen.density,
    1 - chosen.density as sparsity,
    chosen.n_rounds,
    chosen.round as chosen_round,
    chosen.metric,
    chosen.value,
    dense.value as dense_value,
    chosen.value - dense.value as difference,
    chosen.standard_error,
    chosen.mask_digest,
    chosen.recorded_at
from newest as chosen
inner join newest as dense on chosen.task = dense.task and dense.round = 0
where chosen.is_chosen
