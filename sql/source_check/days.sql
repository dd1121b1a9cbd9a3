-- What a source delivers, day by day, before anything is stored: `lt4rec check-source`.
--
-- It reads delivered.log, every row of the source's impression_log.sql that was asked for. Watch ratios are
-- of clicks with a play that is not negative and a duration above 0, as samples.conversions has them.
--
-- grain:   one delivered day; rows whose day cannot be read are one of their own
-- key:     dt
-- columns:
--   dt                 date       business day of the source; NULL: not readable
--   n_rows             bigint     delivered rows
--   n_occurred_at      bigint     rows with a value of occurred_at; alike the next ones
--   n_user_id          bigint     of user_id
--   n_video_id         bigint     of video_id
--   n_page             bigint     of page
--   n_position         bigint     of position
--   n_is_click         bigint     of is_click
--   n_play_ms          bigint     of play_ms
--   n_duration_ms      bigint     of duration_ms
--   n_is_like          bigint     of is_like
--   n_is_follow        bigint     of is_follow
--   n_is_comment       bigint     of is_comment
--   n_is_forward       bigint     of is_forward
--   n_is_long_view     bigint     of is_long_view
--   n_clicks           bigint     rows that were clicked
--   n_ratios           bigint     of these, with a watch ratio
--   n_above_one        bigint     of these, played for longer than the video is
--   watch_ratio_sum    double     of the watch ratios, capped at 1

with

judged as (

    select
        *,
        is_click and play_ms >= 0 and duration_ms > 0 as has_ratio,
        play_ms > duration_ms as is_above_one
    from delivered.log

)

select
    dt,
    count(*) as n_rows,
    count(occurred_at) as n_occurred_at,
    count(user_id) as n_user_id,
    count(video_id) as n_video_id,
    count(page) as n_page,
    count(position) as n_position,
    count(is_click) as n_is_click,
    count(play_ms) as n_play_ms,
    count(duration_ms) as n_duration_ms,
    count(is_like) as n_is_like,
    count(is_follow) as n_is_follow,
    count(is_comment) as n_is_comment,
    count(is_forward) as n_is_forward,
    count(is_long_view) as n_is_long_view,
    count(*) filter (where is_click) as n_clicks,
    count(*) filter (where has_ratio) as n_ratios,
    count(*) filter (where has_ratio and is_above_one) as n_above_one,
    coalesce(sum(least(play_ms / duration_ms, 1)) filter (where has_ratio), 0) as watch_ratio_sum
from judged
group by dt
order by dt
