"""log.csv: rows are added, later rows of a resumed run are dropped, new columns are allowed."""

from urfr_tf.runs.epoch_log import EpochLog


def test_a_resumed_run_drops_the_epochs_that_did_not_count(tmp_path):
    path = tmp_path / "log.csv"
    log = EpochLog(path, 0)
    for epoch in (1, 2, 3):
        log.add({"epoch": epoch, "loss": epoch / 2})
    resumed = EpochLog(path, 2)
    resumed.add({"epoch": 3, "loss": 0.25, "accuracy": 1.0})
    assert path.read_text() == "epoch,loss,accuracy\n1,0.5,\n2,1.0,\n3,0.25,1.0\n"
