-- Which row of the race is better than the single task it replaces: both tasks of a row side by side.
--
-- A verdict needs p below 0.05 after Holm's adjustment for all rows and metrics; else it is level.
--
-- grain:   one row of the race
-- key:     dt, variant
-- inputs:  experiments.offline_comparison
-- columns:
--   dt                  date     last test day
--   variant             varchar  row of the race
--   variant_group       varchar  paper, control, outside, beyond, or reference
--   n_seeds             bigint   pairs of runs behind each difference; the smaller, should the tasks differ
--   ctr_auc             double   AUC over all impressions, mean over seeds; NULL where the row has no CTR
--   ctr_auc_difference  double   to the single-task CTR model: above 0 is better
--   ctr_auc_ci_low      double   lower end of the 95 % t interval of the difference, over seeds
--   ctr_auc_ci_high     double   its upper end
--   ctr_verdict         varchar  better, worse, level, or reference
--   cvr_mse             double   MSE over clicks, mean over seeds; NULL where the row has no CVR
--   cvr_mse_difference  double   to the single-task CVR model: below 0 is better
--   cvr_mse_ci_low      double   lower end of the 95 % t interval of the difference, over seeds
--   cvr_mse_ci_high     double   its upper end
--   cvr_verdict         varchar  better, worse, level, or reference
--   density_ctr         double   mean share of the trunk that CTR sees; NULL where nothing is masked
--   density_cvr         double   mean share of the trunk that CVR sees

with

judged as (

    select
        dt,
        variant,
        variant_group,
        metric,
        n_seeds,
        value,
        difference,
        ci_low,
        ci_high,
        density_ctr,
        density_cvr,
        case
            when p_holm is null or p_holm >= 0.05 then 'level'
            when (difference > 0) = (metric = 'ctr_auc') then 'better'
            else 'worse'
        end as verdict
    from experiments.offline_comparison
    union all by name
    -- The references are no rows of that table: each stands beside the rows that are compared with it.
    select distinct
        dt,
        reference as variant,
        'reference' as variant_group,
        metric,
        max(n_seeds) over (partition by dt, metric, reference) as n_seeds,
        reference_value as value,
        'reference' as verdict
    from experiments.offline_comparison

)

select
    dt,
    variant,
    any_value(variant_group) as variant_group,
    min(n_seeds) as n_seeds,
    max(value) filter (where metric = 'ctr_auc') as ctr_auc,
    max(difference) filter (where metric = 'ctr_auc') as ctr_auc_difference,
    max(ci_low) filter (where metric = 'ctr_auc') as ctr_auc_ci_low,
    max(ci_high) filter (where metric = 'ctr_auc') as ctr_auc_ci_high,
    max(verdict) filter (where metric = 'ctr_auc') as ctr_verdict,
    max(value) filter (where metric = 'cvr_mse') as cvr_mse,
    max(difference) filter (where metric = 'cvr_mse') as cvr_mse_difference,
    max(ci_low) filter (where metric = 'cvr_mse') as cvr_mse_ci_low,
    max(ci_high) filter (where metric = 'cvr_mse') as cvr_mse_ci_high,
    max(verdict) filter (where metric = 'cvr_mse') as cvr_verdict,
    max(density_ctr) as density_ctr,
    max(density_cvr) as density_cvr
from judged
group by dt, variant
