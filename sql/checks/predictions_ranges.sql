-- Predictions that are no probabilities, or whose CTCVR is not the product of CTR and CVR.
--
-- A score that is no task's is NULL; those of CTR, CVR and CTCVR must be there.
--
-- grain:   one faulty prediction
-- key:     model, user_id, video_id, occurred_at
-- inputs:  evaluation.predictions[0]
-- columns:
--   dt           date       business day of the source
--   model        varchar    which model
--   user_id      varchar    who saw it
--   video_id     varchar    what was shown
--   occurred_at  timestamp  when it was shown, UTC
--   p_ctr        double     should be in [0, 1], as all that follow
--   p_cvr        double     likewise
--   p_ctcvr      double     likewise, and p_ctr x p_cvr
--   p_like       double     or NULL
--   p_follow     double     or NULL
--   p_comment    double     or NULL
--   p_forward    double     or NULL
--   p_long_view  double     or NULL

select
    dt,
    model,
    user_id,
    video_id,
    occurred_at,
    p_ctr,
    p_cvr,
    p_ctcvr,
    p_like,
    p_follow,
    p_comment,
    p_forward,
    p_long_view
from evaluation.predictions
where
    p_ctr is null
    or p_cvr is null
    or p_ctcvr is null
    or abs(p_ctcvr - p_ctr * p_cvr) > 1e-6
    or p_ctr not between 0 and 1
    or p_cvr not between 0 and 1
    or p_ctcvr not between 0 and 1
    or p_like not between 0 and 1
    or p_follow not between 0 and 1
    or p_comment not between 0 and 1
    or p_forward not between 0 and 1
    or p_long_view not between 0 and 1
    -- Said apart: a file's statistics leave NaN out, and DuckDB trusts them when it compares.
    or not isfinite(p_ctr)
    or not isfinite(p_cvr)
    or not isfinite(p_ctcvr)
    or not isfinite(p_like)
    or not isfinite(p_follow)
    or not isfinite(p_comment)
    or not isfinite(p_forward)
    or not isfinite(p_long_view)
order by model, user_id, video_id, occurred_at
