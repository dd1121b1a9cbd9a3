-- Impressions that no key names, or whose key stands twice.
--
-- grain:   one faulty key
-- key:     user_id, video_id, occurred_at
-- inputs:  samples.impressions[0](user_id, video_id, occurred_at)
-- columns:
--   dt           date       business day of the source
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   n_rows       bigint     rows of this key; each should have one

with

followed as (

    -- As they lie in the file, ordered by their key: where each is above the one before, none stands twice.
    select
        user_id,
        video_id,
        occurred_at,
        lag((user_id, video_id, occurred_at)) over () as before
    from samples.impressions

),

doubted as (

    select count(*) as n
    from followed
    where
        before >= (user_id, video_id, occurred_at)
        or user_id is null
        or video_id is null
        or occurred_at is null
    having count(*) > 0

)

-- Where nothing is doubted DuckDB reads no row of this: grouping by three names costs thrice as much.
select
    keys.dt,
    keys.user_id,
    keys.video_id,
    keys.occurred_at,
    count(*) as n_rows
from samples.impressions as keys
cross join doubted
group by keys.dt, keys.user_id, keys.video_id, keys.occurred_at
having count(*) > 1 or keys.user_id is null or keys.video_id is null or keys.occurred_at is null
order by keys.user_id, keys.video_id, keys.occurred_at
