"""Calling a module is running its forward, whoever calls; and a process that forks or ends can still call."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import manual


class Own(manual.Module):
    """A module of one's own, whose forward returns what it is told."""

    def __init__(self, result=None):
        self.result = result

    def forward(self, input):
        return self.result


def doubled(input):
    return 2 * input, lambda grad_output, needs=None: (2 * grad_output,)


CALLS = {"itself": lambda module, x: module(x), "in a Sequential": lambda module, x: manual.Sequential(module)(x)}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_patch_means_the_same_to_all(call, monkeypatch):
    x, layer = np.ones((1, 2)), manual.Linear(2, 2)
    monkeypatch.setattr(manual.Linear, "forward", lambda self, input: doubled(input))
    np.testing.assert_array_equal(call(layer, x)[0], 2 * x)
    layer.forward = lambda input: doubled(2 * input)
    np.testing.assert_array_equal(call(layer, x)[0], 4 * x)
    monkeypatch.undo()
    np.testing.assert_array_equal(call(layer, x)[0], 4 * x)
    del layer.forward
    np.testing.assert_array_equal(call(layer, x)[0], manual.linear(x, layer.weight.data, layer.bias.data)[0])


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("result", "got"),
    [
        (None, "NoneType"),
        (np.ones(3), "ndarray"),
        (np.ones((2, 3)), "ndarray"),  # two rows can be told apart from a pair
        ((np.ones(3),), "(ndarray)"),
        ((np.ones(3), np.ones(3)), "(ndarray, ndarray)"),
        ((np.ones(3), doubled, doubled), "(ndarray, function, function)"),
        ((), "()"),
    ],
)
def test_a_forward_without_backward_is_told_so(call, result, got):
    with pytest.raises(TypeError, match=re.escape(f"Own.forward must return (output, backward), got {got}") + "$"):
        call(Own(result), np.ones(3))


def test_an_error_within_forward_comes_out_as_it_is():
    class Failing(manual.Module):
        def forward(self, input):
            raise ValueError("too many values to unpack")

    for call in CALLS.values():
        with pytest.raises(ValueError, match=r"^too many values to unpack$"):
            call(Failing(), np.ones(3))
        with pytest.raises(TypeError, match=r"forward\(\) missing 1 required positional argument: 'target'"):
            call(manual.MSELoss(), np.ones(3))


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
