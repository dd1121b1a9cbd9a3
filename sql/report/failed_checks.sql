-- Checks that did not hold in the newest audit of their day, the gravest first.
-- inputs: quality.check_history

with

told as (

    select
        dt,
        asset,
        check_name,
        message,
        waiver,
        case
            when is_blocking then 'not published'
            when waiver is not null then 'waived'
            else 'warning'
        end as outcome
    from quality.latest_checks
    where dt between $first and $last and not passed

)

select
    dt,
    asset,
    check_name,
    outcome,
    message,
    waiver
from told
order by outcome = 'warning' asc, outcome = 'waived' asc, dt desc, asset asc, check_name asc
