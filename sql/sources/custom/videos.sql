-- What the platform shows. Without a videos file nothing is known of them but their ids and how they did.
--
-- grain:   one video
-- key:     video_id
-- inputs:  raw.videos(video_id, author_id?, category?)
-- params:  $dt, the day; the file holds no history, every day repeats it
-- columns:
--   dt         date     the day
--   video_id   varchar  the video
--   author_id  varchar  who made it
--   category   varchar  its one category

select
    $dt::date as dt,
    video_id::varchar as video_id,
    author_id::varchar as author_id,
    category::varchar as category
from raw.videos
order by video_id
