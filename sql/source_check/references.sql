-- How many users and videos of a day's log the source's own tables list: `lt4rec check-source`.
--
-- It reads source.impression_log of one day, and source.users and source.videos as known at its start.
--
-- grain:   users, and videos
-- key:     table_name
-- params:  $dt, the day
-- columns:
--   dt            date     the day
--   table_name    varchar  source.users or source.videos
--   n_listed      bigint   its rows
--   n_repeated    bigint   ids that it lists more than once
--   n_in_log      bigint   different ids in the day's log
--   n_unlisted    bigint   of these, not in the table
--   rows_unlisted bigint  rows of the log with such an id
--   n_rows        bigint   rows of the log with an id

with

listed as (

    select
        'source.users' as table_name,
        user_id as id,
        count(*) as n
    from source.users
    where user_id is not null
    group by user_id
    union all
    select
        'source.videos' as table_name,
        video_id as id,
        count(*) as n
    from source.videos
    where video_id is not null
    group by video_id

),

in_log as (

    select
        'source.users' as table_name,
        user_id as id,
        count(*) as n
    from source.impression_log
    where user_id is not null
    group by user_id
    union all
    select
        'source.videos' as table_name,
        video_id as id,
        count(*) as n
    from source.impression_log
    where video_id is not null
    group by video_id

),

met as (

    select
        coalesce(listed.table_name, in_log.table_name) as table_name,
        listed.n as n_listed,
        in_log.n as n_in_log
    from listed
    full outer join in_log on listed.table_name = in_log.table_name and listed.id = in_log.id

)

select
    cast($dt as date) as dt,
    table_name,
    coalesce(sum(n_listed), 0)::bigint as n_listed,
    count(*) filter (where n_listed > 1) as n_repeated,
    count(n_in_log) as n_in_log,
    count(*) filter (where n_listed is null) as n_unlisted,
    coalesce(sum(n_in_log) filter (where n_listed is null), 0)::bigint as rows_unlisted,
    coalesce(sum(n_in_log), 0)::bigint as n_rows
from met
group by table_name
order by table_name
