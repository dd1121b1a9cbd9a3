-- The videos of the simulated platform, as known at the start of the day: what is uploaded
-- on it is not here yet.
--
-- grain:    one video
-- key:      video_id
-- inputs:   raw.videos(date, video_id, author_id, category, tags, title_style, duration_ms, uploaded_on)
-- columns:
--   dt               date       the day
--   video_id         varchar    the video
--   author_id        varchar    who made it
--   category         varchar    its one category
--   tags             varchar[]  one to three tags, the most fitting first
--   title_style      varchar    how its title looks: plain, question or sensational
--   duration_ms      bigint     its length in milliseconds
--   upload_age_days  integer    whole days since the upload; at least 1

select
    date as dt,
    video_id,
    author_id,
    category,
    tags,
    title_style,
    duration_ms,
    (date - uploaded_on)::integer as upload_age_days
from raw.videos
order by video_id
