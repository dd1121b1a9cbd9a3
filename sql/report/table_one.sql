-- The paper's Table 1 of these days: how many users, videos, impressions, clicks and conversions.
-- inputs: samples.impressions, samples.conversions

select
    count(distinct user_id) as users,
    count(distinct video_id) as videos,
    count(*) as impressions,
    count(*) filter (where is_click) as clicks,
    (
        select count(*) filter (where c.is_converted)
        from samples.conversions as c
        where c.dt between $first and $last
    ) as conversions
from samples.impressions
where dt between $first and $last
having count(*) > 0
