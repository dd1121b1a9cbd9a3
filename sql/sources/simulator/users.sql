-- The users of the simulated platform, as known at the start of the day: who joins on it is not here yet.
--
-- grain:    one user
-- key:      user_id
-- inputs:   raw.users(date, user_id, age_bucket, gender, country, device, joined_on)
-- columns:
--   dt           date     the day
--   user_id      varchar  the user
--   age_bucket   varchar  age range in years
--   gender       varchar  female, male or undisclosed
--   country      varchar  two-letter code
--   device       varchar  what the user watches on
--   tenure_days  integer  whole days since joining; at least 1

select
    date as dt,
    user_id,
    age_bucket,
    gender,
    country,
    device,
    (date - joined_on)::integer as tenure_days
from raw.users
order by user_id
