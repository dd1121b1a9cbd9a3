-- The newest audit of each asset and day: "where not passed" says why a day is red.
--
-- grain:   one check of one asset and day
-- key:     dt, asset, check_name
-- inputs:  quality.check_history
-- columns:
--   dt          date       business day that was audited
--   asset       varchar    what was audited, as in samples/impressions
--   check_name  varchar    which check
--   severity    varchar    critical or warning
--   passed      boolean    whether it held; a waiver does not change that
--   is_blocking boolean    whether it kept the day from being published: critical, failed and not waived
--   message     varchar    what was found, in a sentence
--   observed    varchar    what was counted or measured, as JSON
--   waiver      varchar    why it may have failed; NULL unless it failed and was waived
--   run_id      varchar    the Dagster run
--   audited_at  timestamp  when the audit ended, UTC

select
    dt,
    asset,
    check_name,
    severity,
    passed,
    is_blocking,
    message,
    observed,
    waiver,
    run_id,
    audited_at
from quality.check_history
-- All checks of an audit carry its time and its run.
qualify rank() over (partition by dt, asset order by audited_at desc, run_id asc) = 1
