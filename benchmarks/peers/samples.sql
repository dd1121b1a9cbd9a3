-- From the day's log to model-ready samples, as one would write it by hand: one script, nothing kept between
-- its steps but what tomorrow's features need. Set before it: day (a date), home (whose lake has the days
-- before), log (the folder of the day's Parquet files) and out (where its files go).
-- Its samples are those of the pipeline, row for row and in the same order; benchmarks/sql.py compares them.

create temp table accepted as
select
    date as dt,
    make_timestamp_ms(time_ms) as occurred_at,
    user_id, video_id, page, position, is_click, play_ms, duration_ms,
    is_like, is_follow, is_comment, is_forward, is_long_view
from read_parquet(getvariable('log') || '/impressions.parquet')
where
    date = getvariable('day')
    and user_id is not null and video_id is not null and is_click is not null
    and play_ms >= 0 and duration_ms > 0
    and make_timestamp_ms(time_ms) between getvariable('day') - interval 12 hours
    and getvariable('day') + interval 36 hours
qualify row_number() over (
    partition by user_id, video_id, time_ms
    order by play_ms desc, page, position, is_click, duration_ms,
        is_like, is_follow, is_comment, is_forward, is_long_view
) = 1;

create temp table clicks as
select
    user_id, video_id, occurred_at, play_ms, duration_ms,
    least(play_ms / duration_ms, 1.0::double) as watch_ratio,
    watch_ratio >= 0.5 as is_converted
from accepted
where is_click;

-- What tomorrow's features need of today.
copy (from clicks order by user_id, video_id, occurred_at)
to (getvariable('out') || '/clicks.parquet') (compression zstd, compression_level 1);

create temp table watched as
with measured as (
    select *, round(watch_ratio * 1000000)::bigint as millionths, floor(2 * log2(duration_ms)) as length_class
    from clicks
)
select
    user_id, video_id, is_converted, watch_ratio = 1 as is_complete, least(play_ms, duration_ms) as play_ms,
    millionths,
    millionths - sum(millionths) over (partition by length_class)
    // count(*) over (partition by length_class) as surplus
from measured;

copy (
    select * from (
        select
            user_id, count(*) as n_impressions, count(*) filter (where is_click) as n_clicks,
            count(*) filter (where is_like) as n_likes, count(*) filter (where is_long_view) as n_long_views
        from accepted group by user_id
    ) left join (
        select
            user_id, count(*) as n_watched, count(*) filter (where is_converted) as n_conversions,
            count(*) filter (where is_complete) as n_completes, sum(play_ms)::bigint as play_ms,
            sum(millionths)::bigint as watch_ratio_millionths, sum(surplus)::bigint as watch_surplus_millionths
        from watched group by user_id
    ) using (user_id)
    order by user_id
) to (getvariable('out') || '/user_daily_stats.parquet') (compression zstd, compression_level 1);

copy (
    select * from (
        select
            video_id, count(*) as n_impressions, count(*) filter (where is_click) as n_clicks,
            count(*) filter (where is_like) as n_likes, count(*) filter (where is_long_view) as n_long_views
        from accepted group by video_id
    ) left join (
        select
            video_id, count(*) as n_watched, count(*) filter (where is_converted) as n_conversions,
            count(*) filter (where is_complete) as n_completes, sum(play_ms)::bigint as play_ms,
            sum(millionths)::bigint as watch_ratio_millionths, sum(surplus)::bigint as watch_surplus_millionths
        from watched group by video_id
    ) using (video_id)
    order by video_id
) to (getvariable('out') || '/video_daily_stats.parquet') (compression zstd, compression_level 1);

create macro bucket(value, buckets) as coalesce((1 + md5_number_lower(value) % (buckets - 1))::integer, 0);

-- Known before the day: seven days of counts, smoothed towards the rates of all.
create temp table user_known as
with
    past as (
        select
            user_id, sum(n_impressions) as n, sum(n_clicks) as clicks, sum(n_watched) as watched,
            sum(watch_ratio_millionths) / 1000000 as ratio, sum(watch_surplus_millionths) / 1000000 as surplus
        from read_parquet(getvariable('home') || '/lake/features/user_daily_stats/*/*.parquet', hive_partitioning = true)
        where dt between getvariable('day') - 7 and getvariable('day') - 1
        group by user_id
    ),
    overall as (
        select sum(clicks) / sum(n) as click_rate, sum(ratio_millionths) / sum(watched) / 1000000 as watch_ratio
        from (
            select n_clicks as clicks, n_impressions as n, n_watched as watched,
                watch_ratio_millionths as ratio_millionths
            from read_parquet(getvariable('home') || '/lake/features/user_daily_stats/*/*.parquet', hive_partitioning = true)
            where dt between getvariable('day') - 7 and getvariable('day') - 1
        )
    ),
    seen as (select distinct user_id from accepted),
    history as (
        select
            c.user_id,
            list_transform(min({'t': -epoch_us(c.occurred_at), 'v': c.video_id}, 20), lambda x: x.v) as videos
        from read_parquet(getvariable('home') || '/lake/samples/clicks/*/*.parquet', hive_partitioning = true) as c
        semi join seen on c.user_id = seen.user_id
        where c.dt between getvariable('day') - 7 and getvariable('day') - 1
        group by c.user_id
    )
select
    seen.user_id,
    past.user_id is null as is_new,
    coalesce(past.n, 0) as n_impressions,
    (past.clicks + 10 * overall.click_rate) / (past.n + 10) as click_rate,
    case when past.watched > 0
        then (past.ratio + 10 * overall.watch_ratio) / (past.watched + 10) end as watch_ratio,
    case when past.watched > 0 then past.surplus / (past.watched + 10) end as watch_surplus,
    u.age_bucket, u.gender, u.country, u.device, (u.date - u.joined_on)::integer as tenure_days,
    coalesce(list_transform(history.videos, lambda x: bucket(x, 50000)), []) as clicked_videos
from seen
cross join overall
left join past on seen.user_id = past.user_id
left join read_parquet(getvariable('log') || '/users.parquet') as u on seen.user_id = u.user_id
left join history on seen.user_id = history.user_id;

create temp table video_known as
with
    past as (
        select
            video_id, sum(n_impressions) as n, sum(n_clicks) as clicks, sum(n_watched) as watched,
            sum(watch_ratio_millionths) / 1000000 as ratio, sum(watch_surplus_millionths) / 1000000 as surplus
        from read_parquet(getvariable('home') || '/lake/features/video_daily_stats/*/*.parquet', hive_partitioning = true)
        where dt between getvariable('day') - 7 and getvariable('day') - 1
        group by video_id
    ),
    overall as (
        select sum(n_clicks) / sum(n_impressions) as click_rate,
            sum(watch_ratio_millionths) / sum(n_watched) / 1000000 as watch_ratio
        from read_parquet(getvariable('home') || '/lake/features/video_daily_stats/*/*.parquet', hive_partitioning = true)
        where dt between getvariable('day') - 7 and getvariable('day') - 1
    ),
    seen as (select distinct video_id from accepted)
select
    seen.video_id,
    past.video_id is null as is_new,
    coalesce(past.n, 0) as n_impressions,
    (past.clicks + 10 * overall.click_rate) / (past.n + 10) as click_rate,
    case when past.watched > 0
        then (past.ratio + 10 * overall.watch_ratio) / (past.watched + 10) end as watch_ratio,
    case when past.watched > 0 then past.surplus / (past.watched + 10) end as watch_surplus,
    v.author_id, v.category, v.tags, v.title_style, (v.date - v.uploaded_on)::integer as upload_age_days
from seen
cross join overall
left join past on seen.video_id = past.video_id
left join read_parquet(getvariable('log') || '/videos.parquet') as v on seen.video_id = v.video_id;

-- 0 is missing; what is in no list is one past its end.
create macro listed(value, known) as
case when value is null then 0
else coalesce(list_position(known, value), len(known) + 1) end;

create temp table user_features as
select
    user_id, is_new,
    bucket(user_id, 50000) as f_user_id,
    listed(age_bucket, ['12-17', '18-23', '24-30', '31-40', '41-49', '50+'])::integer as f_age_bucket,
    listed(gender, ['female', 'male', 'undisclosed'])::integer as f_gender,
    listed(country, ['AR', 'BR', 'DE', 'ID', 'IN', 'MX', 'TR', 'US'])::integer as f_country,
    listed(device, ['android_high', 'android_low', 'iphone', 'tablet', 'web'])::integer as f_device,
    coalesce(1 + (tenure_days >= 2)::integer + (tenure_days >= 4)::integer + (tenure_days >= 7)::integer + (tenure_days >= 14)::integer + (tenure_days >= 28)::integer + (tenure_days >= 56)::integer, 0) as f_tenure,
    coalesce(1 + (n_impressions >= 1)::integer + (n_impressions >= 5)::integer + (n_impressions >= 10)::integer + (n_impressions >= 20)::integer + (n_impressions >= 40)::integer + (n_impressions >= 80)::integer + (n_impressions >= 160)::integer + (n_impressions >= 320)::integer, 0) as f_user_n_impressions,
    coalesce(1 + (click_rate >= 0.2)::integer + (click_rate >= 0.25)::integer + (click_rate >= 0.3)::integer + (click_rate >= 0.35)::integer + (click_rate >= 0.4)::integer + (click_rate >= 0.45)::integer + (click_rate >= 0.5)::integer + (click_rate >= 0.55)::integer + (click_rate >= 0.6)::integer + (click_rate >= 0.7)::integer, 0) as f_user_click_rate,
    coalesce(1 + (watch_ratio >= 0.3)::integer + (watch_ratio >= 0.36)::integer + (watch_ratio >= 0.42)::integer + (watch_ratio >= 0.48)::integer + (watch_ratio >= 0.52)::integer + (watch_ratio >= 0.56)::integer + (watch_ratio >= 0.6)::integer + (watch_ratio >= 0.66)::integer + (watch_ratio >= 0.72)::integer + (watch_ratio >= 0.8)::integer, 0) as f_user_watch_ratio,
    coalesce(1 + (watch_surplus >= -0.12)::integer + (watch_surplus >= -0.08)::integer + (watch_surplus >= -0.05)::integer + (watch_surplus >= -0.025)::integer + (watch_surplus >= -0.01)::integer + (watch_surplus >= 0.01)::integer + (watch_surplus >= 0.025)::integer + (watch_surplus >= 0.05)::integer + (watch_surplus >= 0.08)::integer + (watch_surplus >= 0.12)::integer, 0)
        as f_user_watch_surplus,
    clicked_videos as m_clicked_videos
from user_known;

create temp table video_features as
select
    video_id, is_new,
    bucket(video_id, 50000) as f_video_id,
    bucket(author_id, 5000) as f_author_id,
    listed(category, ['animals', 'beauty', 'comedy', 'dance', 'education', 'film',
        'food', 'games', 'music', 'news', 'sports', 'travel'])::integer as f_category,
    coalesce(list_transform(tags[:3], lambda x: bucket(x, 1000)), []) as m_tags,
    listed(title_style, ['plain', 'question', 'sensational'])::integer as f_title_style,
    coalesce(1 + (upload_age_days >= 2)::integer + (upload_age_days >= 3)::integer + (upload_age_days >= 5)::integer + (upload_age_days >= 8)::integer + (upload_age_days >= 14)::integer + (upload_age_days >= 21)::integer + (upload_age_days >= 30)::integer + (upload_age_days >= 45)::integer, 0) as f_upload_age,
    coalesce(1 + (n_impressions >= 1)::integer + (n_impressions >= 5)::integer + (n_impressions >= 10)::integer + (n_impressions >= 20)::integer + (n_impressions >= 40)::integer + (n_impressions >= 80)::integer + (n_impressions >= 160)::integer + (n_impressions >= 320)::integer, 0) as f_video_n_impressions,
    coalesce(1 + (click_rate >= 0.2)::integer + (click_rate >= 0.25)::integer + (click_rate >= 0.3)::integer + (click_rate >= 0.35)::integer + (click_rate >= 0.4)::integer + (click_rate >= 0.45)::integer + (click_rate >= 0.5)::integer + (click_rate >= 0.55)::integer + (click_rate >= 0.6)::integer + (click_rate >= 0.7)::integer, 0) as f_video_click_rate,
    coalesce(1 + (watch_ratio >= 0.3)::integer + (watch_ratio >= 0.36)::integer + (watch_ratio >= 0.42)::integer + (watch_ratio >= 0.48)::integer + (watch_ratio >= 0.52)::integer + (watch_ratio >= 0.56)::integer + (watch_ratio >= 0.6)::integer + (watch_ratio >= 0.66)::integer + (watch_ratio >= 0.72)::integer + (watch_ratio >= 0.8)::integer, 0) as f_video_watch_ratio,
    coalesce(1 + (watch_surplus >= -0.12)::integer + (watch_surplus >= -0.08)::integer + (watch_surplus >= -0.05)::integer + (watch_surplus >= -0.025)::integer + (watch_surplus >= -0.01)::integer + (watch_surplus >= 0.01)::integer + (watch_surplus >= 0.025)::integer + (watch_surplus >= 0.05)::integer + (watch_surplus >= 0.08)::integer + (watch_surplus >= 0.12)::integer, 0)
        as f_video_watch_surplus
from video_known;

copy (
    select
        i.dt, i.user_id, i.video_id, i.occurred_at, i.page, i.duration_ms,
        u.is_new as is_new_user, v.is_new as is_new_video,
        u.* exclude (user_id, is_new), v.* exclude (video_id, is_new),
        case when page is null then 0 else
            case page when 'feed' then 1 when 'discover' then 2 when 'follow' then 3 when 'search' then 4
            else 5 end end as f_page,
        coalesce(1 + (position >= 2)::integer + (position >= 3)::integer + (position >= 4)::integer
            + (position >= 5)::integer + (position >= 7)::integer + (position >= 9)::integer
            + (position >= 12)::integer + (position >= 16)::integer + (position >= 24)::integer, 0) as f_position,
        1 + (duration_ms >= 10000)::integer + (duration_ms >= 20000)::integer + (duration_ms >= 30000)::integer
            + (duration_ms >= 40000)::integer + (duration_ms >= 50000)::integer + (duration_ms >= 65000)::integer
            + (duration_ms >= 80000)::integer + (duration_ms >= 100000)::integer
            + (duration_ms >= 130000)::integer + (duration_ms >= 170000)::integer
            + (duration_ms >= 220000)::integer + (duration_ms >= 300000)::integer
            + (duration_ms >= 450000)::integer + (duration_ms >= 700000)::integer as f_duration,
        (1 + hour(occurred_at))::integer as f_hour,
        isodow(occurred_at)::integer as f_weekday,
        i.is_click,
        case when i.is_click then least(i.play_ms / i.duration_ms, 1.0::double) end as watch_ratio,
        case when i.is_click then least(i.play_ms / i.duration_ms, 1.0::double) >= 0.5 end as is_converted,
        i.is_like, i.is_follow, i.is_comment, i.is_forward, i.is_long_view
    from accepted as i
    inner join user_features as u on i.user_id = u.user_id
    inner join video_features as v on i.video_id = v.video_id
    order by i.user_id, i.video_id, i.occurred_at
) to (getvariable('out') || '/samples.parquet') (compression zstd, compression_level 1);
