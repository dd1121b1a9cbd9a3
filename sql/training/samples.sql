-- Model-ready rows: what was known before the impression as bucket ids, then what came of it as labels.
--
-- grain:    one accepted impression
-- key:      user_id, video_id, occurred_at
-- inputs:   samples.impressions[0],
--           samples.conversions[0](user_id, video_id, occurred_at, watch_ratio, is_converted),
--           features.user_features[0], features.video_features[0]
-- params:   $time_zone, the source's, in which hours and weekdays are counted
-- compiled: $user_columns, $video_columns, $context_features, $context_columns
-- columns:
--   dt            date       business day of the source
--   user_id       varchar    who saw it
--   video_id      varchar    what was shown
--   occurred_at   timestamp  when it was shown, UTC
--   page          varchar    where it was shown
--   duration_ms   bigint     how long the video is
--   is_new_user   boolean    the user had no impression in the seven days before
--   is_new_video  boolean    the video had none
--   $user_columns
--   $video_columns
--   $context_features
--   is_click      boolean    label: was it clicked
--   watch_ratio   double     label: share of the video that played, in [0, 1]; NULL without a click
--   is_converted  boolean    label: whether that is at least the threshold; NULL without a click
--   is_like       boolean    label: NULL where the source does not say, as in the next four
--   is_follow     boolean    label
--   is_comment    boolean    label
--   is_forward    boolean    label
--   is_long_view  boolean    label

with

shown as (

    select
        *,
        timezone($time_zone, timezone('UTC', occurred_at)) as local_time,
        extract(hour from local_time) as hour,
        extract(isodow from local_time) as weekday
    from samples.impressions

),

-- Computed apart from the joins below, so that the catalogue's names mean these columns and no other.
impressions as (

    select
        dt,
        user_id,
        video_id,
        occurred_at,
        page,
        duration_ms,
        is_click,
        is_like,
        is_follow,
        is_comment,
        is_forward,
        is_long_view,
        $context_features
    from shown

)

select
    i.dt,
    i.user_id,
    i.video_id,
    i.occurred_at,
    i.page,
    i.duration_ms,
    coalesce(u.is_new, true) as is_new_user,
    coalesce(v.is_new, true) as is_new_video,
    $user_columns,
    $video_columns,
    $context_columns,
    i.is_click,
    c.watch_ratio,
    c.is_converted,
    i.is_like,
    i.is_follow,
    i.is_comment,
    i.is_forward,
    i.is_long_view
from impressions as i
left join features.user_features as u on i.user_id = u.user_id
left join features.video_features as v on i.video_id = v.video_id
left join samples.conversions as c
    on i.user_id = c.user_id and i.video_id = c.video_id and i.occurred_at = c.occurred_at
order by i.user_id, i.video_id, i.occurred_at
