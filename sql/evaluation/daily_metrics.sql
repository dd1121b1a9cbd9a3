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
--   evaluation.predictions[0], source.truth[0]?,
--   training.samples[-7..-1](is_click, watch_ratio, is_like, is_follow, is_comment, is_forward, is_long_view)
-- params:  $dt, day the predictions are of
--          $ticket_window_end, last day the tickets saw; headlines use later days only
-- columns:
--   dt                      date     day the predictions are of
--   model                   varchar  snet, baseline, constant or oracle
--   task                    varchar  ctr, ctcvr (all impressions), cvr (clicks) or a further engagement
--   metric                  varchar  auc, gauc, mse, log_loss or pcoc (predicted over observed)
--   slice                   varchar  all, or name=value; GAUC is given for all only
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
        sum(cast(watch_ratio as decimal(18, 15))) / count(*) as p_ctcvr,
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

-- One row per task: the label of MSE, log loss and pcoc may be soft, AUC and GAUC rank by a yes or no.
judged as (

    select
        s.model,
        of_task.task,
        of_task.label,
        of_task.is_positive,
        if(isfinite(of_task.score), of_task.score, error(
            'evaluation.predictions holds a missing, NaN or infinite p_' || of_task.task || ' of ' || s.model
            || '. Was its check of ranges waived? Score the day again.'
        )) as score,
        [
            'all',
            'is_new_user=' || s.is_new_user,
            'is_new_video=' || s.is_new_video,
            'page=' || coalesce(s.page, 'unknown'),
            'duration=' || case
                when s.duration_ms < 15000 then 'under 15 s'
                when s.duration_ms < 60000 then '15 to 60 s'
                when s.duration_ms < 180000 then '1 to 3 min'
                else 'from 3 min'
            end,
            -- For GAUC a user is a slice like any other.
            'user=' || s.user_id
        ] as slices
    from scored as s
    cross join
        lateral (
            values
            ('ctr', s.p_ctr, cast(s.is_click as double), s.is_click, true),
            ('cvr', s.p_cvr, s.watch_ratio, s.is_converted, s.is_click),
            ('ctcvr', s.p_ctcvr, coalesce(s.watch_ratio, 0), s.is_click and s.is_converted, true),
            ('like', s.p_like, cast(s.is_like as double), s.is_like, s.p_like is not null),
            ('follow', s.p_follow, cast(s.is_follow as double), s.is_follow, s.p_follow is not null),
            ('comment', s.p_comment, cast(s.is_comment as double), s.is_comment, s.p_comment is not null),
            ('forward', s.p_forward, cast(s.is_forward as double), s.is_forward, s.p_forward is not null),
            (
                'long_view', s.p_long_view, cast(s.is_long_view as double), s.is_long_view,
                s.p_long_view is not null
            )
        ) as of_task (task, score, label, is_positive, is_sample)
    where of_task.is_sample and of_task.label is not null

),

sliced as (

    select
        model,
        task,
        unnest(slices) as slice,
        score,
        label,
        is_positive,
        -- numpy's log loss clips by the same amount.
        greatest(least(score, 1 - 1e-7), 1e-7) as p
    from judged

),

-- Numbered, because sorting by a number costs a fifth of sorting by three names.
cells as (

    select
        model,
        task,
        slice,
        row_number() over () as cell,
        count(*) as n,
        count(*) filter (where is_positive) as n_positive,
        n - n_positive as n_negative,
        sum(cast(score as decimal(18, 15))) as predicted,
        sum(cast(label as decimal(18, 15))) as observed,
        sum(cast((score - label) * (score - label) as decimal(18, 15))) / n as mse,
        sum(cast(-(label * ln(p) + (1 - label) * ln(1 - p)) as decimal(18, 15))) / n as log_loss,
        predicted / nullif(observed, 0) as pcoc
    from sliced
    group by model, task, slice

),

ranked as (

    select
        cells.cell,
        sliced.is_positive,
        rank() over (partition by cells.cell order by sliced.score) as first_rank
    from sliced
    inner join cells
        on sliced.model = cells.model and sliced.task = cells.task and sliced.slice = cells.slice

),

-- Equal scores share the mean of their ranks.
tied as (

    select
        cell,
        count(*) filter (where is_positive) as n_positive,
        2 * first_rank + count(*) - 1 as twice_rank
    from ranked
    group by cell, first_rank

),

-- A positive's rank among all, less its rank among the positives, counts the negatives below it.
ranked_cells as (

    select
        cell,
        sum(n_positive * twice_rank) as twice_rank_sum
    from tied
    group by cell

),

measured as (

    select
        cells.*,
        (ranked_cells.twice_rank_sum - cells.n_positive * (cells.n_positive + 1))
        / nullif(2 * cells.n_positive * cells.n_negative, 0) as auc
    from cells inner join ranked_cells on cells.cell = ranked_cells.cell

),

-- Users of one class have no AUC and no weight.
grouped as (

    select
        model,
        task,
        'all' as slice,
        coalesce(sum(n) filter (where auc is not null), 0) as n,
        sum(cast(n * auc as decimal(38, 15))) / nullif(sum(n) filter (where auc is not null), 0) as gauc
    from measured
    where slice like 'user=%'
    group by model, task

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
    where measured.slice not like 'user=%'
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
