-- KuaiRand's users, as the one published file describes them; every day repeats it.
--
-- grain:   one user
-- key:     user_id
-- inputs:  raw.users(user_id, user_active_degree?, is_live_streamer?, is_video_author?, follow_user_num?,
--            fans_user_num?, friend_user_num?, register_days?, onehot_feat0?, onehot_feat1?, onehot_feat2?,
--            onehot_feat3?, onehot_feat4?, onehot_feat5?, onehot_feat6?, onehot_feat7?, onehot_feat8?,
--            onehot_feat9?, onehot_feat10?, onehot_feat11?, onehot_feat12?, onehot_feat13?,
--            onehot_feat14?, onehot_feat15?, onehot_feat16?, onehot_feat17?)
-- params:  $dt, the day
-- columns:
--   dt                  date     business day
--   user_id             varchar  who
--   user_active_degree  varchar  how active the user is, in the app's classes
--   is_live_streamer    varchar  streams live; -124 is unknown
--   is_video_author     varchar  has uploaded videos
--   follow_user_num     bigint   how many users the user follows
--   fans_user_num       bigint   how many users follow the user
--   friend_user_num     bigint   how many friends the user has
--   register_days       bigint   days since the user registered
--   onehot_feat0        varchar  an encrypted property, as published
--   onehot_feat1        varchar  an encrypted property, as published
--   onehot_feat2        varchar  an encrypted property, as published
--   onehot_feat3        varchar  an encrypted property, as published
--   onehot_feat4        varchar  an encrypted property, as published
--   onehot_feat5        varchar  an encrypted property, as published
--   onehot_feat6        varchar  an encrypted property, as published
--   onehot_feat7        varchar  an encrypted property, as published
--   onehot_feat8        varchar  an encrypted property, as published
--   onehot_feat9        varchar  an encrypted property, as published
--   onehot_feat10       varchar  an encrypted property, as published
--   onehot_feat11       varchar  an encrypted property, as published
--   onehot_feat12       varchar  an encrypted property, as published
--   onehot_feat13       varchar  an encrypted property, as published
--   onehot_feat14       varchar  an encrypted property, as published
--   onehot_feat15       varchar  an encrypted property, as published
--   onehot_feat16       varchar  an encrypted property, as published
--   onehot_feat17       varchar  an encrypted property, as published

with

typed as (

    -- One row a user, whatever the file holds: a second one would double every impression of the user. Which
    -- one does not depend on the file's order: every column decides.
    select
        $dt::date as dt,
        user_id,
        user_active_degree,
        is_live_streamer,
        is_video_author,
        try_cast(follow_user_num as bigint) as follow_user_num,
        try_cast(fans_user_num as bigint) as fans_user_num,
        try_cast(friend_user_num as bigint) as friend_user_num,
        try_cast(register_days as bigint) as register_days,
        onehot_feat0,
        onehot_feat1,
        onehot_feat2,
        onehot_feat3,
        onehot_feat4,
        onehot_feat5,
        onehot_feat6,
        onehot_feat7,
        onehot_feat8,
        onehot_feat9,
        onehot_feat10,
        onehot_feat11,
        onehot_feat12,
        onehot_feat13,
        onehot_feat14,
        onehot_feat15,
        onehot_feat16,
        onehot_feat17,
        row_number() over (
            partition by user_id
            order by
                user_active_degree, is_live_streamer, is_video_author, follow_user_num, fans_user_num,
                friend_user_num, register_days, onehot_feat0, onehot_feat1, onehot_feat2, onehot_feat3,
                onehot_feat4, onehot_feat5, onehot_feat6, onehot_feat7, onehot_feat8, onehot_feat9,
                onehot_feat10, onehot_feat11, onehot_feat12, onehot_feat13, onehot_feat14, onehot_feat15,
                onehot_feat16, onehot_feat17
        ) as nth_row
    from raw.users
    where user_id is not null

)

select
    dt,
    user_id,
    user_active_degree,
    is_live_streamer,
    is_video_author,
    follow_user_num,
    fans_user_num,
    friend_user_num,
    register_days,
    onehot_feat0,
    onehot_feat1,
    onehot_feat2,
    onehot_feat3,
    onehot_feat4,
    onehot_feat5,
    onehot_feat6,
    onehot_feat7,
    onehot_feat8,
    onehot_feat9,
    onehot_feat10,
    onehot_feat11,
    onehot_feat12,
    onehot_feat13,
    onehot_feat14,
    onehot_feat15,
    onehot_feat16,
    onehot_feat17
from typed
where nth_row = 1
order by user_id
