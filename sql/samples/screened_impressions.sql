-- Every delivered row once, with the reason why it is rejected: nothing is lost.
--
-- Reasons, the first that applies: unreadable (a required field is missing or no value),
-- non_positive_duration, negative_play, wrong_day (more than 24 hours from the local noon of dt), duplicate
-- (same user, video and time within the day, among rows without another fault; the longest play stays).
-- A play longer than the video is accepted.
--
-- grain:   one delivered row
-- key:     none, rows may repeat
-- inputs:  source.impression_log[0]
-- params:  $time_zone, the source's, in which dt is a day
-- columns:
--   dt             date       business day of the source
--   occurred_at    timestamp  when it was shown, UTC
--   user_id        varchar    who saw it
--   video_id       varchar    what was shown
--   page           varchar    where it was shown
--   position       integer    rank on the page, from 1
--   is_click       boolean    was it clicked
--   play_ms        bigint     how long it played
--   duration_ms    bigint     how long the video is
--   is_like        boolean    was it liked; NULL where the source does not say, as in the next four
--   is_follow      boolean    was its author followed
--   is_comment     boolean    was it commented on
--   is_forward     boolean    was it forwarded
--   is_long_view   boolean    the source's own mark of a long view
--   reject_reason  varchar    why it is rejected; NULL: accepted

with

judged as (

    select
        *,
        timezone('UTC', timezone($time_zone, dt + interval 12 hours)) as noon,
        case
            when user_id is null or video_id is null or is_click is null then 'unreadable'
            when play_ms is null or duration_ms is null then 'unreadable'
            when occurred_at is null or not isfinite(occurred_at) then 'unreadable'
            when duration_ms <= 0 then 'non_positive_duration'
            when play_ms < 0 then 'negative_play'
            -- The bounds are moved, not the time: arithmetic on a time far off would fail the whole day.
            when occurred_at < noon - interval 24 hours then 'wrong_day'
            when occurred_at > noon + interval 24 hours then 'wrong_day'
        end as fault
    from source.impression_log

),

ranked as (

    -- A faulty row is nobody's duplicate: whether the fault is there is part of what is compared.
    select
        *,
        row_number() over (
            partition by fault is null, user_id, video_id, occurred_at
            order by
                play_ms desc, page asc, position asc, is_click asc, duration_ms asc,
                is_like asc, is_follow asc, is_comment asc, is_forward asc, is_long_view asc
        ) as nth_copy
    from judged

)

select
    dt,
    occurred_at,
    user_id,
    video_id,
    page,
    position,
    is_click,
    play_ms,
    duration_ms,
    is_like,
    is_follow,
    is_comment,
    is_forward,
    is_long_view,
    case when fault is null and nth_copy > 1 then 'duplicate' else fault end as reject_reason
from ranked
order by all
