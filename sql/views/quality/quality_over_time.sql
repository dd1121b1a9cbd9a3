-- How the data held up: each day of each asset, what its checks found, and whether it needed a repair.
--
-- grain:   one asset and day
-- key:     dt, asset
-- inputs:  quality.check_history
-- columns:
--   dt               date       business day that was audited
--   asset            varchar    what was audited, as in samples/impressions
--   n_audits         bigint     how often
--   n_checks         bigint     checks of the newest audit, as the next four
--   n_failed         bigint     of these, those that did not hold
--   n_waived         bigint     of the failed, those that somebody let pass
--   n_blocking       bigint     of the failed, those that keep the day from being published
--   failed_checks    varchar    names of the failed ones; NULL if all held
--   is_good          boolean    whether nothing blocks the day now
--   was_refused      boolean    whether an audit before the newest refused the day
--   last_audited_at  timestamp  when the newest audit ended, UTC

with

audits as (

    select
        dt,
        asset,
        audited_at,
        count(*) as n_checks,
        count(*) filter (where not passed) as n_failed,
        count(*) filter (where not passed and waiver is not null) as n_waived,
        count(*) filter (where is_blocking) as n_blocking,
        string_agg(check_name, ', ' order by check_name) filter (where not passed) as failed_checks,
        row_number() over (partition by dt, asset order by audited_at desc, run_id asc) as nth_newest
    from quality.check_history
    group by dt, asset, audited_at, run_id

)

select
    dt,
    asset,
    count(*) as n_audits,
    max(n_checks) filter (where nth_newest = 1) as n_checks,
    max(n_failed) filter (where nth_newest = 1) as n_failed,
    max(n_waived) filter (where nth_newest = 1) as n_waived,
    max(n_blocking) filter (where nth_newest = 1) as n_blocking,
    max(failed_checks) filter (where nth_newest = 1) as failed_checks,
    bool_and(n_blocking = 0) filter (where nth_newest = 1) as is_good,
    coalesce(bool_or(n_blocking > 0) filter (where nth_newest > 1), false) as was_refused,
    max(audited_at) as last_audited_at
from audits
group by dt, asset
