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

select
    $dt as dt,
    users.user_id,
    users.user_active_degree,
    users.is_live_streamer,
    users.is_video_author,
    try_cast(users.follow_user_num as bigint) as follow_user_num,
    try_cast(users.fans_user_num as bigint) as fans_user_num,
    try_cast(users.friend_user_num as bigint) as friend_user_num,
    try_cast(users.register_days as bigint) as register_days,
    users.onehot_feat0,
    users.onehot_feat1,
    users.onehot_feat2,
    users.onehot_feat3,
    users.onehot_feat4,
    users.onehot_feat5,
    users.onehot_feat6,
    users.onehot_feat7,
    users.onehot_feat8,
    users.onehot_feat9,
    users.onehot_feat10,
    users.onehot_feat11,
    users.onehot_feat12,
    users.onehot_feat13,
    users.onehot_feat14,
    users.onehot_feat15,
    users.onehot_feat16,
    users.onehot_feat17
from raw.users
where users.user_id is not null
-- One row a user, whatever the file holds: a second one would double every impression of the user.
qualify row_number() over (
    partition by users.user_id
    order by users.register_days, users.user_active_degree, users.onehot_feat3, users.onehot_feat8
) = 1
order by user_id
