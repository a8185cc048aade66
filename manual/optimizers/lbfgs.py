"""L-BFGS: steps by an estimate of the curvature from the last steps, with a line search that meets Wolfe's strong conditions."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from manual.contract import FLOAT64, Array
from manual.module import Parameter, RowGradient
from manual.optimizers.optimizer import Optimizer, Params, floats
from manual.state import converted

__all__ = ["LBFGS"]

SUFFICIENT, FLAT = 1e-4, 0.9  # c₁ and c₂ of Wolfe's conditions
INTEGERS, LISTS = {"func_evals", "n_iter"}, {"old_dirs", "old_stps", "ro", "al"}


class LBFGS(Optimizer):
    """Minimise along d = −H g, where H estimates the inverse of the matrix of second derivatives from the last steps.

    Step:      `step(closure)` makes up to `max_iter` iterations. All parameters are one vector w, and g the gradient there
               s = the last step of w, y = the change of g that it made; of those with yᵀs > 10⁻¹⁰ the last `history_size` count
               H = (I − s yᵀ / yᵀs) H (I − y sᵀ / yᵀs) + s sᵀ / yᵀs, pair after pair, from H = yᵀs / yᵀy · I of the last one
               w ← w + t d,  t = η, and η · min(1, 1 / Σ|g|) at the very first iteration, where d = −g
               With "strong_wolfe", t is where f(w + t d) ≤ f(w) + c₁ t gᵀd and |∇f(w + t d)ᵀ d| ≤ c₂ |gᵀd|, c₁ = 10⁻⁴, c₂ = 0.9:
               bracketed from η on, then narrowed down by minima of cubics
               It ends where max |g| ≤ `tolerance_grad`, gᵀd > −τ, max |t d| ≤ τ, or f changes by less than τ, or after `max_eval`
               calls of the closure
    Settings:  η `lr`, `max_iter`, `max_eval` (5/4 of it unless given), `tolerance_grad`, τ `tolerance_change`, `history_size`,
               `line_search_fn`: None or "strong_wolfe". There is one group only
    Source:    Liu & Nocedal 1989, On the Limited Memory BFGS Method; Nocedal & Wright 2006, Numerical Optimization, 3.5 and 7.2
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_iter * 5 // 4 if max_eval is None and isinstance(max_iter, int) else max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused, but for the first: all parameters are one vector."""
        if self.param_groups:
            raise ValueError("LBFGS: params must be one group, got several")
        super().add_param_group(param_group)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and another line search."""
        self.require_numbers(group, "lr", "tolerance_grad", "tolerance_change")
        self.require_integers(group, "max_iter", "max_eval", "history_size")
        self.require_positive(group, "history_size")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None, got {group['line_search_fn']!r}")

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """It makes them dense."""
        return True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Minimise for some iterations.

        The `closure` computes the loss and its gradients from zero on, and returns the loss: it is called at every point that is
        tried. What it returned at first is returned here.
        """
        if not callable(closure):
            raise TypeError(f"LBFGS: closure must be a function that computes loss and gradients, got {type(closure).__name__}")
        (group,) = self.param_groups
        self.check(group)
        lr, tolerance_grad, tolerance_change = floats(group, "lr", "tolerance_grad", "tolerance_change")
        state = self.state.setdefault(group["params"][0], {})  # that of all, kept where torch keeps it
        state.setdefault("n_iter", 0)
        evaluations = state.setdefault("func_evals", 0)
        first = closure()
        state["func_evals"] += 1
        loss, g = float(first), self._gradient()
        if np.abs(g).max(initial=0) <= tolerance_grad:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            t = lr * min(1.0, 1 / float(np.abs(g).sum())) if state["n_iter"] == 1 else lr
            state.update(d=d, t=t, prev_flat_grad=g, prev_loss=loss)
            slope = float(g @ d)
            if slope > -tolerance_change:
                break
            w = self._vector()
            at = partial(self._at, closure, state, w, d)
            if group["line_search_fn"]:
                left = group["max_eval"] - (state["func_evals"] - evaluations)
                start, size = _Point(0.0, loss, g, slope), float(np.abs(d).max())
                t, loss, g, _ = _strong_wolfe(at, start, t, size, tolerance_change, left)
                self._set(w + t * d)
            elif iteration < group["max_iter"]:
                _, loss, g, _ = at(t)
            else:  # nobody asks for the gradient after the last iteration
                self._set(w + t * d)
            state["t"] = t
            if np.abs(g).max() <= tolerance_grad or np.abs(t * d).max() <= tolerance_change:
                break
            if abs(loss - state["prev_loss"]) < tolerance_change or state["func_evals"] - evaluations >= group["max_eval"]:
                break
        return first

    def _at(self, closure: Callable[[], Any], state: dict[str, Any], w: Array, d: Array, t: float) -> "_Point":
        """The point w + t d, where the parameters are left."""
        self._set(w + t * d)
        loss = float(closure())
        state["func_evals"] += 1
        g = self._gradient()
        return _Point(t, loss, g, float(g @ d))

    def _direction(self, state: dict[str, Any], g: Array, history_size: int) -> Array:
        """−H g, after the last step has been remembered."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]  # y, s and 1 / yᵀs of each step
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        if (product := float(y @ s)) > 1e-10:
            if len(changes) == history_size:
                for memory in (changes, steps, inverses):
                    del memory[0]
            changes.append(y)
            steps.append(s)
            inverses.append(1 / product)
            state["H_diag"] = product / float(y @ y)
        shares = state["al"] = [None] * history_size
        q = -g
        for i in reversed(range(len(changes))):
            shares[i] = inverses[i] * float(steps[i] @ q)
            q -= shares[i] * changes[i]
        q *= state["H_diag"]
        for y, s, inverse, share in zip(changes, steps, inverses, shares):
            q += (share - inverse * float(y @ q)) * s
        return q

    def _gradient(self) -> Array:
        """The gradient of all parameters as one vector, zero where none has come."""
        self.due()
        grads = [np.zeros_like(each.data) if each.grad is None else each.grad for each in self._parameters()]
        return np.concatenate([np.ravel(grad.dense() if isinstance(grad, RowGradient) else grad) for grad in grads])

    def _vector(self) -> Array:
        return np.concatenate([parameter.data.ravel() for parameter in self._parameters()])

    def _set(self, vector: Array) -> None:
        start = 0
        for parameter in self._parameters():
            parameter.data[...] = vector[start : start + parameter.size].reshape(parameter.shape)
            start += parameter.size

    def loaded(self, name: str, key: str, value: Any, parameter: Parameter) -> Any:
        """A copy of what a state dict has under this key: numbers, vectors of all parameters together, or lists of these."""
        if key in LISTS:
            return [None if each is None else self.loaded(name, f"one of {key}", each, parameter) for each in value]
        if key in ("d", "prev_flat_grad", "one of old_dirs", "one of old_stps"):
            return converted(name, value, (sum(each.size for each in self._parameters()),), parameter.dtype)
        number = converted(name, value, (), FLOAT64)
        return int(number) if key in INTEGERS else float(number)


class _Point(NamedTuple):
    """A point of the line: how far along, and there the loss, the gradient, and the slope of the loss along the line."""

    t: float
    loss: float
    g: Array
    slope: float


def _strong_wolfe(
    at: Callable[[float], _Point], start: _Point, t: float, size: float, tolerance: float, most: int
) -> tuple[float, float, Array, float]:
    """Find a point of the line that meets Wolfe's strong conditions: `at(t)` is the point at t, `size` the largest change of
    w for each unit of t.

    After `most` points it gives the lowest of the last two.
    """

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + SUFFICIENT * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -FLAT * start.slope

    # Go on until the conditions are met, or a point that meets them lies between the last two
    before, point, tried = start, at(t), 0
    while tried < most:
        if too_high(point) or (tried > 1 and point.loss >= before.loss):
            break
        if flat(point):
            return point
        if point.slope >= 0:
            break
        t = _cubic_minimum(before, point, point.t + 0.01 * (point.t - before.t), point.t * 10)
        before, point = point, at(t)
        tried += 1
    else:
        before = start

    # Narrow that interval down
    ends, close = [before, point], False
    low = 0 if before.loss <= point.loss else 1
    while tried < most:
        least, greatest = sorted(end.t for end in ends)
        if (greatest - least) * size < tolerance:
            break
        t = _cubic_minimum(ends[0], ends[1], least, greatest)
        margin = 0.1 * (greatest - least)
        if min(greatest - t, t - least) >= margin:
            close = False
        elif close or t >= greatest or t <= least:  # for the second time close to an end, or at it: move away from it
            t = greatest - margin if abs(t - greatest) < abs(t - least) else least + margin
            close = False
        else:
            close = True
        point = at(t)
        tried += 1
        if too_high(point) or point.loss >= ends[low].loss:
            ends[1 - low] = point
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        met = flat(point)
        if not met and point.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = point
        if met:
            break
    return ends[low]


def _cubic_minimum(a: _Point, b: _Point, least: float, greatest: float) -> float:
    """Where the cubic through two points with their slopes is least, within bounds; their middle where it has no minimum."""
    if a.t > b.t:
        a, b = b, a
    if a.t < b.t:
        d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
        square = d1 * d1 - a.slope * b.slope
        if square >= 0:
            above, below = b.slope + square**0.5 - d1, b.slope - a.slope + 2 * square**0.5
            share = above / below if below else math.copysign(math.inf, above)  # a straight line is lowest at one of the bounds
            return min(max(b.t - (b.t - a.t) * share, least), greatest)
    return (least + greatest) / 2
