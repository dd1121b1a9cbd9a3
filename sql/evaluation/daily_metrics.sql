-- How good the predictions of each model were, per task, metric and slice of the impressions.
--
-- Besides the trained models it measures two yardsticks: the constant (mean label of the days before) and,
-- where the source knows it, the oracle (the true probabilities). AUC and GAUC count pairs in integers; the
-- other metrics sum each row's term as a decimal of 15 places. Both are exact whatever the order of the rows:
-- the same predictions give the same values bit for bit, and numpy's within 1e-12.
-- Intervals are not SQL's work: lt4rec_core/evaluation/report.py adds them.
--
-- grain:   one model, task, slice and metric
-- key:     model, task, slice, metric
-- inputs:
--   evaluation.predictions[0], source.truth[0]?, features.user_features[0](user_id, n_impressions_7d),
--   training.samples[-7..-1](is_click, watch_ratio, is_like, is_follow, is_comment, is_forward, is_long_view)
-- params:  $dt, day the predictions are of
--          $ticket_window_end, last day the tickets saw; headlines use later days only
-- columns:
--   dt                      date     day the predictions are of
--   model                   varchar  snet, baseline, constant or oracle
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric                  varchar  auc, gauc, mse, log_loss or pcoc (predicted over observed)
--   slice                   varchar  all, or name=value of is_new_user, is_new_video, page, duration or
--                                    activity (the user's impressions in the seven days before); GAUC is
--                                    given for all only
--   value                   double   NULL where the rows do not define it: one class, nothing observed
--   n                       bigint   impressions behind the value
--   ci_low                  double   lower end of the 95 % interval over users; NULL but for slice all
--   ci_high                 double   its upper end
--   is_after_ticket_window  boolean  whether the day lies after the ticket window

with

-- Of further tasks only those that are predicted.
constants as (

    select
        sum(cast(is_click as integer)) / count(*) as p_ctr,
        sum(cast(watch_ratio as decimal(18, 15))) / count(watch_ratio) as p_cvr,
        -- No click seen: nothing is watched.
        coalesce(sum(cast(watch_ratio as decimal(18, 15))), 0) / count(*) as p_ctcvr,
        case
            when (select count(p.p_like) from evaluation.predictions as p) > 0
                then sum(cast(is_like as integer)) / count(is_like)
        end as p_like,
        case
            when (select count(p.p_follow) from evaluation.predictions as p) > 0
                then sum(cast(is_follow as integer)) / count(is_follow)
        end as p_follow,
        case
            when (select count(p.p_comment) from evaluation.predictions as p) > 0
                then sum(cast(is_comment as integer)) / count(is_comment)
        end as p_comment,
        case
            when (select count(p.p_forward) from evaluation.predictions as p) > 0
                then sum(cast(is_forward as integer)) / count(is_forward)
        end as p_forward,
        case
            when (select count(p.p_long_view) from evaluation.predictions as p) > 0
                then sum(cast(is_long_view as integer)) / count(is_long_view)
        end as p_long_view
    from training.samples
    having count(*) > 0

),

-- A row delivered twice is one impression, yet stands twice in the truth.
truth as (

    select
        user_id,
        video_id,
        occurred_at,
        min(p_click) as p_click,
        min(expected_watch_ratio) as expected_watch_ratio
    from source.truth
    group by user_id, video_id, occurred_at

),

-- Every model repeats the labels of an impression: take each once.
impressions as (

    select distinct
        * exclude (
            dt, model, model_digest,
            p_ctr, p_cvr, p_ctcvr, p_like, p_follow, p_comment, p_forward, p_long_view
        )
    from evaluation.predictions

),

scored as (

    select * exclude (dt, model_digest) from evaluation.predictions
    union all by name
    select
        impressions.*,
        constants.*,
        'constant' as model
    from impressions cross join constants
    union all by name
    select
        impressions.*,
        truth.p_click as p_ctr,
        truth.expected_watch_ratio as p_cvr,
        truth.p_click * truth.expected_watch_ratio as p_ctcvr,
        'oracle' as model
    from impressions
    inner join truth
        on
            impressions.user_id = truth.user_id
            and impressions.video_id = truth.video_id
            and impressions.occurred_at = truth.occurred_at

),

described as (

    select
        scored.*,
        case
            when coalesce(users.n_impressions_7d, 0) = 0 then '0'
            when users.n_impressions_7d < 10 then '1 to 9'
            when users.n_impressions_7d < 50 then '10 to 49'
            else 'from 50'
        end as activity
    from scored
    left join features.user_features as users on scored.user_id = users.user_id

),

-- One row per task: the label of MSE, log loss and pcoc may be soft, AUC and GAUC rank by a yes or no.
labelled as (

    select
        model,
        user_id,
        is_new_user,
        is_new_video,
        coalesce(page, 'unknown') as page,
        case
            when duration_ms < 15000 then 'under 15 s'
            when duration_ms < 60000 then '15 to 60 s'
            when duration_ms < 180000 then '1 to 3 min'
            else 'from 3 min'
        end as duration,
        activity,
        unnest([
            { 'task': 'ctr', 'score': p_ctr, 'label': cast(is_click as double), 'is_positive': is_click },
            {
                'task': 'cvr', 'score': p_cvr, 'label': if(is_click, watch_ratio, null),
                'is_positive': is_converted
            },
            {
                'task': 'ctcvr', 'score': p_ctcvr, 'label': coalesce(watch_ratio, 0),
                'is_positive': is_click and is_converted
            },
            { 'task': 'like', 'score': p_like, 'label': cast(is_like as double), 'is_positive': is_like },
            {
                'task': 'follow', 'score': p_follow, 'label': cast(is_follow as double),
                'is_positive': is_follow
            },
            {
                'task': 'comment', 'score': p_comment, 'label': cast(is_comment as double),
                'is_positive': is_comment
            },
            {
                'task': 'forward', 'score': p_forward, 'label': cast(is_forward as double),
                'is_positive': is_forward
            },
            {
                'task': 'long_view', 'score': p_long_view, 'label': cast(is_long_view as double),
                'is_positive': is_long_view
            }
        ]) as of_task
    from described

),

judged as (

    select
        s.model,
        s.user_id,
        s.is_new_user,
        s.is_new_video,
        s.page,
        s.duration,
        s.activity,
        s.of_task.task,
        s.of_task.label,
        s.of_task.is_positive,
        if(isfinite(s.of_task.score), s.of_task.score, error(
            'evaluation.predictions holds a missing, NaN or infinite p_' || s.of_task.task
            || ' of ' || s.model || '. Was its check of ranges waived? Score the day again.'
        )) as score,
        -- numpy's log loss clips by the same amount.
        greatest(least(s.of_task.score, 1 - 1e-7), 1e-7) as p
    from labelled as s
    where
        s.of_task.label is not null
        -- A further task is measured where it is predicted; these three always are, but by a constant whose
        -- days before hold no such label.
        and (
            s.of_task.score is not null
            or (s.of_task.task in ('ctr', 'cvr', 'ctcvr') and s.model <> 'constant')
        )

),

-- A block's rows fall into the same slices. Sums are exact, so a slice's are the sums of its blocks', and a
-- row is summed once, not once per slice.
blocks as (

    select
        model,
        task,
        is_new_user,
        is_new_video,
        page,
        duration,
        activity,
        row_number() over () as block,
        count(*) as n,
        sum(cast(score as decimal(18, 15))) as predicted,
        sum(cast(label as decimal(18, 15))) as observed,
        sum(cast((score - label) * (score - label) as decimal(18, 15))) as squared,
        sum(cast(-(label * ln(p) + (1 - label) * ln(1 - p)) as decimal(18, 15))) as entropy
    from judged
    group by model, task, is_new_user, is_new_video, page, duration, activity

),

sliced as (

    select
        model,
        task,
        block,
        n,
        predicted,
        observed,
        squared,
        entropy,
        unnest([
            'all',
            'is_new_user=' || is_new_user,
            'is_new_video=' || is_new_video,
            'page=' || page,
            'duration=' || duration,
            'activity=' || activity
        ]) as slice
    from blocks

),

-- Numbered, because sorting by a small number costs a fifth of sorting by three names.
cells as (

    select
        model,
        task,
        slice,
        cast(row_number() over () as integer) as cell,
        list(block) as blocks,
        cast(sum(n) as bigint) as n,
        sum(predicted) / nullif(sum(observed), 0) as pcoc,
        sum(squared) / sum(n) as mse,
        sum(entropy) / sum(n) as log_loss
    from sliced
    group by model, task, slice

),

members as (

    select
        unnest(blocks) as block,
        cell
    from cells

),

-- For GAUC a user is a cell like any other; numbered downwards, no user's number is a slice's.
users as (

    select
        model,
        task,
        user_id,
        cast(-row_number() over () as integer) as cell
    from judged
    group by model, task, user_id

),

-- What AUC and GAUC rank: every row in each of its cells.
placed as (

    select
        members.cell,
        judged.score,
        judged.is_positive
    from judged
    inner join blocks
        on
            judged.model = blocks.model
            and judged.task = blocks.task
            and judged.is_new_user = blocks.is_new_user
            and judged.is_new_video = blocks.is_new_video
            and judged.page = blocks.page
            and judged.duration = blocks.duration
            and judged.activity = blocks.activity
    inner join members on blocks.block = members.block
    union all
    select
        users.cell,
        judged.score,
        judged.is_positive
    from judged
    inner join users
        on judged.model = users.model and judged.task = users.task and judged.user_id = users.user_id

),

-- Equal scores share the mean of their first and last rank.
ranked as (

    select
        cell,
        is_positive,
        rank() over by_score + count(*) over by_score as twice_rank
    from placed
    window by_score as (partition by cell order by score)

),

-- A positive's rank among all, less its rank among the positives, counts the negatives below it.
ranked_cells as (

    select
        cell,
        count(*) as n,
        count(*) filter (where is_positive) as n_positive,
        sum(twice_rank) filter (where is_positive) as twice_rank_sum,
        (twice_rank_sum - n_positive * (n_positive + 1)) / nullif(2 * n_positive * (n - n_positive), 0) as auc
    from ranked
    group by cell

),

measured as (

    select
        cells.*,
        ranked_cells.auc
    from cells inner join ranked_cells on cells.cell = ranked_cells.cell

),

-- Users of one class have no AUC and no weight.
grouped as (

    select
        users.model,
        users.task,
        'all' as slice,
        coalesce(sum(r.n) filter (where r.auc is not null), 0) as n,
        sum(cast(r.n * r.auc as decimal(38, 15)))
        / nullif(sum(r.n) filter (where r.auc is not null), 0) as gauc
    from users inner join ranked_cells as r on users.cell = r.cell
    group by users.model, users.task

),

long_form as (

    select
        measured.model,
        measured.task,
        measured.slice,
        metrics.metric,
        metrics.value,
        measured.n
    from measured
    cross join
        lateral (
            values
            ('auc', measured.auc),
            ('mse', measured.mse),
            ('log_loss', measured.log_loss),
            ('pcoc', measured.pcoc)
        ) as metrics (metric, value)
    union all
    select
        model,
        task,
        slice,
        'gauc' as metric,
        gauc as value,
        n
    from grouped

)

select
    cast($dt as date) as dt,
    model,
    task,
    metric,
    slice,
    value,
    cast(n as bigint) as n,
    cast(null as double) as ci_low,
    cast(null as double) as ci_high,
    $dt > $ticket_window_end as is_after_ticket_window
from long_form
order by model, task, slice, metric
