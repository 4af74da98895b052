"""Jobs: real processes that are run once, skipped, failed, stopped by the clock, and timed."""

import csv
import os
import subprocess
import sys
import time

import pytest

from experiments.reproduce.jobs import (
    DONE,
    FAILED,
    LATER,
    STOPPED,
    Job,
    Ledger,
    check_sources,
    environment,
    hash_jobs,
    run_jobs,
    select_jobs,
)
from urfr_tf.errors import UrfrError

pytestmark = pytest.mark.process


def job(name, code, *needs):
    return Job(name, ("-c", code), needs)


def count(path):
    """Code that adds a letter to a file every time it runs."""
    return f"open({str(path)!r}, 'a').write('x')"


def outcomes(folder):
    with open(folder / "time.tsv", encoding="utf-8") as file:
        return [(row["job"], row["outcome"]) for row in csv.DictReader(file, delimiter="\t")]


def test_what_is_done_is_not_run_again(tmp_path):
    plan = [job("a", count(tmp_path / "a")), job("b/c", count(tmp_path / "b"), "a")]
    for _ in range(2):
        assert run_jobs(plan, plan, tmp_path / "runs", None) == {}
    assert (tmp_path / "a").read_text() + (tmp_path / "b").read_text() == "xx"
    assert outcomes(tmp_path / "runs") == [("a", DONE), ("b/c", DONE)]


def test_a_changed_command_is_run_again_with_all_that_needs_it(tmp_path):
    for number in (1, 2):
        plan = [
            job("a", f"{count(tmp_path / 'a')} # {number}"),
            job("b", count(tmp_path / "b"), "a"),
            job("c", count(tmp_path / "c")),
        ]
        run_jobs(plan, plan, tmp_path / "runs", None)
    assert [(tmp_path / name).read_text() for name in "abc"] == ["xx", "xx", "x"]


def test_a_failure_holds_up_only_what_needs_it(tmp_path, capfd):
    plan = [
        job("a", "print('why it failed'); raise SystemExit(1)"),
        job("b", count(tmp_path / "b"), "a"),
        job("c", count(tmp_path / "c")),
    ]
    left = run_jobs(plan, plan, tmp_path / "runs", None)
    assert left == {"a": FAILED, "b": "waiting for a"}
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "c").exists()
    assert "why it failed" in capfd.readouterr().out


def test_the_job_under_way_is_stopped_when_the_time_is_up_and_goes_on_later(tmp_path):
    # It works until there is a file; within the first three seconds there is none.
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)"
    plan = [job("a", code), job("b", "pass", "a"), job("c", "pass")]
    left = run_jobs(plan, plan, tmp_path / "runs", 3.0)
    assert left == {"a": STOPPED, "b": "waiting for a", "c": LATER}
    go.touch()
    assert run_jobs(plan, plan, tmp_path / "runs", None) == {}
    assert outcomes(tmp_path / "runs") == [("a", STOPPED), ("a", DONE), ("b", DONE), ("c", DONE)]


def test_no_time_begins_nothing(tmp_path):
    plan = [job("a", count(tmp_path / "a"))]
    assert run_jobs(plan, plan, tmp_path / "runs", 0.0) == {"a": LATER}
    assert not (tmp_path / "a").exists()


def test_some_jobs_bring_what_they_need_in_the_order_of_the_plan():
    plan = [job("a", ""), job("b", ""), job("c", "", "a"), job("d", "", "c")]
    assert [p.name for p in select_jobs(plan, ["d"])] == ["a", "c", "d"]


def test_a_torn_note_does_not_count(tmp_path):
    plan = [job("a", "pass")]
    ledger = Ledger(tmp_path)
    assert not ledger.is_done(plan[0], hash_jobs(plan)["a"])
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "a.tmp").write_text("{")
    assert not ledger.is_done(plan[0], hash_jobs(plan)["a"])


def test_an_unknown_command_fails_with_its_log(tmp_path, capfd):
    plan = [Job("a", ("-m", "no_such_module_anywhere"))]
    assert run_jobs(plan, plan, tmp_path, None) == {"a": FAILED}
    assert "no_such_module_anywhere" in capfd.readouterr().out


def test_a_driver_that_is_told_to_end_ends_the_job_under_way(tmp_path):
    pid = tmp_path / "pid"
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from experiments.reproduce import __main__ as driver\nfrom experiments.reproduce.jobs import Job\n"
        f"code = \"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)\"\n"
        "driver.small_plan = lambda request: [Job('data/a', ('-c', code))]\n"
        f"sys.exit(driver.main('small --lfw L --pairs P --gender G --cfp C --runs {tmp_path}'.split()))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=environment(), stdout=subprocess.DEVNULL)
    try:
        while not (pid.exists() and pid.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 143
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
    finally:
        process.kill()


def test_a_file_from_outside_must_be_there_for_what_is_still_to_be_run(tmp_path):
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.touch()
    runs = tmp_path / "runs"
    plan = [Job("a", ("-c", "pass", str(there))), Job("b", ("-c", "pass", str(gone)), ("a",))]
    sources = {"first": str(there), "second": str(gone), "third": None, "fourth": str(tmp_path / "other")}
    expected = f"^expected a file or folder for --second, but there is nothing at {gone}$"
    with pytest.raises(UrfrError, match=expected):
        check_sources(plan, plan, runs, sources)
    check_sources(plan, plan[:1], runs, sources)  # nothing asks for the others
    with pytest.raises(UrfrError, match="for --fourth"):
        check_sources(plan, plan[:1], runs, sources, always=["third", "fourth"])
    # What is done needs its sources no more.
    gone.touch()
    run_jobs(plan, plan, runs, None)
    gone.unlink()
    check_sources(plan, plan, runs, sources)


def test_a_wrong_path_is_one_sentence_and_no_page_is_touched(tmp_path):
    words = [word for name in ("lfw", "pairs", "gender", "cfp") for word in (f"--{name}", "/nowhere")]
    words += ["--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.reproduce", "small", *words],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "reproduce: expected a file or folder for --lfw, but there is nothing at /nowhere\n"
    assert not (tmp_path / "docs").exists()


def test_what_waits_is_counted_and_not_listed(tmp_path, capfd):
    plan = [job("a", "raise SystemExit(1)"), *(job(name, "pass", "a") for name in "bcd")]
    run_jobs(plan, plan, tmp_path, None)
    left = [line for line in capfd.readouterr().out.splitlines() if line.startswith("left: ")]
    assert left == ["left: a: failed", "left: 3 more that wait for these or were not begun, from b on"]
