-- How the newest audits of the days went, by what was audited.
-- inputs: quality.check_history

select
    asset,
    count(distinct dt) as n_days,
    count(*) as n_checks,
    count(*) filter (where passed) as n_passed,
    count(*) filter (where not passed and waiver is null and not is_blocking) as n_warned,
    count(*) filter (where not passed and waiver is not null) as n_waived,
    count(*) filter (where is_blocking) as n_refused
from quality.latest_checks
where dt between $first and $last
group by asset
order by asset
