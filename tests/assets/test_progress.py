from lt4rec_assets.progress import ProgressLog
from lt4rec_core.training.trainer import Progress, TaskLoss


def log_of(seconds):
    said, times = [], iter(seconds)
    return ProgressLog(said.append, clock=lambda: next(times)), said


def progress(done, total=100, **losses):
    return Progress(done, total, {task: TaskLoss(loss, n) for task, (loss, n) in losses.items()})


def test_a_line_says_what_how_far_with_which_loss_and_how_fast():
    log, said = log_of([0, 10])

    log("snet of 2026-01-05", progress(50, ctr=(0.51239, 40), cvr=(float("nan"), 0)))

    assert said == ["snet of 2026-01-05, 50 of 100 samples, ctr loss 0.5124, 5 samples/s"]


def test_steps_within_five_seconds_share_a_line():
    log, said = log_of([0, 1, 4, 6, 8, 10.9, 11.5])

    for done in range(10, 70, 10):
        log("round 1 of 4", progress(done))

    assert [line.split(",")[1] for line in said] == [" 30 of 100 samples", " 60 of 100 samples"]


def test_what_is_over_at_once_says_nothing():
    log, said = log_of([0, 1, 2])

    log("x", progress(50))
    log("x", progress(100))

    assert said == []


def test_passes_are_counted_from_one_and_end_with_the_last():
    log, said = log_of([0, 10, 20, 30])

    for done in (10, 50, 100):
        log("x", progress(done), epochs=2)

    assert [line.split(", ")[1] for line in said] == ["epoch 1 of 2", "epoch 2 of 2", "epoch 2 of 2"]


def test_the_next_network_has_a_speed_of_its_own():
    log, said = log_of([0, 10, 10, 20])

    log("ctr", progress(100))
    log("cvr", progress(50))

    assert said[1].endswith("50 of 100 samples, 5 samples/s")
