-- KuaiRand's videos, as the published basic features describe them; every day repeats them.
--
-- The published video statistics are left out: they average over the days to be predicted.
--
-- grain:   one video
-- key:     video_id
-- inputs:  raw.videos(video_id, author_id?, video_type?, upload_dt?, upload_type?, server_width?,
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

with

typed as (

    -- One row a video, whatever the files hold and in whichever order: every column decides.
    select
        $dt::date as dt,
        video_id,
        author_id,
        video_type,
        upload_type,
        try_cast(upload_dt as date) as uploaded_on,
        try_cast(server_height as double) > try_cast(server_width as double) as is_upright,
        music_id,
        music_type,
        string_split(tag, ',') as tags,
        row_number() over (
            partition by video_id
            order by
                author_id, video_type, upload_dt, upload_type, server_width, server_height, music_id,
                music_type, tag
        ) as nth_row
    from raw.videos
    where video_id is not null

)

select
    dt,
    video_id,
    author_id,
    video_type,
    upload_type,
    uploaded_on,
    is_upright,
    music_id,
    music_type,
    tags
from typed
where nth_row = 1
order by video_id
