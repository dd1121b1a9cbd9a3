-- Who the platform knows. Without a users file nobody is, and users are described by id and behaviour alone.
--
-- grain:   one user
-- key:     user_id
-- inputs:  raw.users(user_id)
-- params:  $dt, the day; the file holds no history, every day repeats it
-- columns:
--   dt       date     the day
--   user_id  varchar  the user

select
    $dt::date as dt,
    user_id::varchar as user_id
from raw.users
order by user_id
