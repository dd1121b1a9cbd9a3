-- What is true of each impression on the simulated platform. No feature may read it:
-- it gives the best reachable AUC and MSE, and replays policies.
--
-- grain:    one impression; a row of the log that came twice has one truth
-- key:      user_id, video_id, occurred_at
-- inputs:   raw.truth(date, time_ms, user_id, video_id, p_click, expected_watch_ratio)
-- columns:
--   dt                    date       day of the log
--   user_id               varchar    who saw it
--   video_id              varchar    what was shown
--   occurred_at           timestamp  when, UTC
--   p_click               double     probability of a click
--   expected_watch_ratio  double     mean of least(play_ms / duration_ms, 1) given a click

select
    date as dt,
    user_id,
    video_id,
    make_timestamp_ms(time_ms) as occurred_at,
    p_click,
    expected_watch_ratio
from raw.truth
order by user_id, video_id, occurred_at
