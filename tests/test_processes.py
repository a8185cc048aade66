"""A process that forks, or that ends, can still run operations and their backwards."""

import os
import subprocess
import sys

import pytest


def run(program):
    return subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_child_forked_in_the_middle_of_a_backward_has_backwards_too():
    """One thread stands still where its gradient is added; the child that another thread makes meanwhile adds its own."""
    program = """
import os, threading, warnings
import numpy as np
import manual
from manual.module import Module

adding, forked = threading.Event(), threading.Event()

class Slow:
    def __add__(self, other):
        adding.set()
        forked.wait()

parameter = manual.Parameter(np.ones(1))
parameter.grad = Slow()
_, backward = Module.call(lambda w: (w, lambda grad, needs: (grad,)), parameter)
thread = threading.Thread(target=backward, args=(np.ones(1),))
thread.start()
adding.wait()
warnings.simplefilter("ignore")  # of forking beside threads, which is what is tried here
child = os.fork()
if child == 0:
    layer = manual.Linear(1, 1)
    output, backward = layer(np.ones((1, 1)))
    backward(output)
    os._exit(0 if layer.bias.grad is not None else 1)
import time
for _ in range(200):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
    os.waitpid(child, 0)
    status = 99 << 8
forked.set()
thread.join()
os._exit(os.waitstatus_to_exitcode(status))
"""
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("before", ["", "manual.relu(x)"], ids=["first", "again"])
def test_a_large_operation_while_the_interpreter_exits(before):
    """No thread starts then, and those that there were have ended: the calling thread does it all."""
    program = f"""
import atexit
import numpy as np
import manual
from manual.threads import LARGE

manual.set_num_threads(3)
x = np.ones(2 * LARGE)

@atexit.register
def at_exit():
    print(int(manual.relu(x)[0].sum()) == x.size)

{before}
"""
    done = run(program)
    assert (done.stdout, done.stderr) == ("True\n", "")
