-- KuaiRand's videos, as the published basic features describe them; every day repeats them.
--
-- The published video statistics are left out: they average over the days to be predicted.
--
-- grain:   one video
-- key:     video_id
-- inputs:  raw.videos(video_id, author_id?, video_type?, upload_dt?, upload_type?, video_duration?, server_width?,
--            server_height?, music_id?, music_type?, tag?)
-- params:  $dt, the day
-- columns:
--   dt           date       business day
--   video_id     varchar    which video
--   author_id    varchar    who made it
--   video_type   varchar    NORMAL or AD
--   upload_type  varchar    how it was uploaded
--   uploaded_on  date       when it was uploaded
--   is_upright   boolean    higher than wide
--   music_id     varchar    its music; 0 is none
--   music_type   varchar    kind of music
--   tags         varchar[]  its tags, ascending as published

select
    $dt as dt,
    videos.video_id,
    videos.author_id,
    videos.video_type,
    videos.upload_type,
    try_cast(videos.upload_dt as date) as uploaded_on,
    try_cast(videos.server_height as double) > try_cast(videos.server_width as double) as is_upright,
    videos.music_id,
    videos.music_type,
    string_split(videos.tag, ',') as tags
from raw.videos
where videos.video_id is not null
-- One row a video, whatever the files hold.
qualify row_number() over (
    partition by videos.video_id
    order by videos.author_id, videos.upload_dt, videos.upload_type, videos.music_id, videos.tag
) = 1
order by video_id
