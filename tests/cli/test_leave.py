"""The end of the process: a failed one waits for nobody."""

import subprocess
import sys

import pytest

WAITS = """
import sys, threading
from gym_jax.cli.leave import leave
print("told", flush=False)
threading.Thread(target=threading.Event().wait, args=(%s,)).start()
leave(%d)
"""


@pytest.mark.parametrize(("code", "wait"), [(6, 60), (0, 0.2)])
def test_a_failed_process_leaves_although_a_thread_waits(code, wait):
    done = subprocess.run([sys.executable, "-c", WAITS % (wait, code)], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (code, "told\n")


STUCK = """
import atexit, threading
from gym_jax.cli.leave import leave
from gym_jax.track.feed import THREAD
forever = threading.Event().wait
atexit.register(forever)
print("told", flush=False)
threading.Thread(target=forever, name=THREAD + "wandb", daemon=True).start()
leave(0)
"""


def test_a_tracker_that_was_left_behind_holds_up_no_process():
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, "told\n")
