"""A loss between a long sequence of predictions and a short one of labels, where nobody says which belong together."""

from typing import Any

import numpy as np

from manual.contract import (
    REDUCTIONS,
    Array,
    Backward,
    needed,
    require_choice,
    require_flags,
    require_floats,
    require_indices,
    require_integer,
    require_shape,
)
from manual.losses.reduction import reduce
from manual.module import Module

__all__ = ["CTCLoss", "ctc_loss"]

START, END = -1, -2  # stand for the class of the two states that emit none


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Any,
    target_lengths: Any,
    /,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> tuple[Array, Backward]:
    """Connectionist temporal classification: how improbable a sequence of labels is, wherever in time they stand.

    A path names a class at each time. It spells the labels that are left once repeated classes are merged and then blanks dropped.
    The paths that spell the labels l run through the states start, blank, l₁, blank, l₂, …, l_S, blank, end. From one time to the
    next they stay, or move on by one state, or by two unless both are the same label. A state emits its class; start and end emit
    none.

    Forward:   ℓ = −log Σ Πₜ exp xₜ[class at t]  (x = log_probs; Σ over the paths) = −log arrive_T(end),
               arriveₜ(s) = Σ departₜ₋₁(s′) over the states s′ that lead to s,  departₜ(s) = arriveₜ(s) exp xₜ[class of s]
               none: L = ℓ;  sum: L = Σ ℓ;  mean: L = Σ ℓ / max(target_length, 1) / N
    Backward:  grad_xₜ[c] = −g Σ pₜ(s) over the states s of class c,  pₜ(s) the probability, given the labels, of being in s at
               t: departₜ(s) leaveₜ(s) / Σₛ departₜ(s) leaveₜ(s), leave being arrive with time and states reversed  (g = grad_ℓ)
               (depart is the forward variable α of the literature, leave its β without the emission at t)
    Shapes:    log_probs (T, N, C) or (T, C); targets (N, S), or (Σ target_lengths) one after the other;
               input_lengths, target_lengths (N), or () for one sequence, arrays or tuples; L () or, with reduction none, (N)
    Corners:   labels that no path spells have a loss of ∞ and a gradient of NaN, or 0 and 0 with `zero_infinity`.
               The gradient is that of log_probs, whatever they are. torch adds the term g exp xₜ[c], as if they came from a
               log_softmax; if they do, its backward cancels that term, and both gradients of the scores are the same
    Source:    Graves, Fernández, Gomez & Schmidhuber 2006, Connectionist Temporal Classification
    """
    op = "ctc_loss"
    require_floats(op, "log_probs", log_probs)
    if log_probs.ndim not in (2, 3) or log_probs.size == 0:
        raise ValueError(f"{op}: log_probs must have shape (T, N, C) or (T, C), without a 0, got {log_probs.shape}")
    x = log_probs if log_probs.ndim == 3 else log_probs[:, None]
    steps, count, classes = x.shape
    blank = require_integer(op, "blank", blank)
    require_choice(op, "reduction", reduction, REDUCTIONS)
    require_flags(op, zero_infinity=zero_infinity)
    if not 0 <= blank < classes:
        raise ValueError(f"{op}: blank must be a class from 0 to {classes - 1}, got {blank}")
    input_lengths = _lengths(op, "input_lengths", input_lengths, count, steps)
    require_indices(op, "targets", targets)
    target_lengths = _lengths(op, "target_lengths", target_lengths, count, targets.size)
    labels = _labels(op, targets, target_lengths, blank, classes)

    time, state, sequence = np.arange(steps)[:, None], np.arange(2 * labels.shape[1] + 3)[:, None], np.arange(count)
    end = 2 * target_lengths + 2
    class_of = np.full((state.size, count), blank)
    class_of[0] = START
    class_of[2:-1:2] = labels.T
    class_of[state >= end] = END
    emitted = np.where(class_of < 0, blank, class_of)
    log_y = x[:, sequence, emitted]  # of the class of each state
    log_y[:, class_of < 0] = -np.inf
    peaks_of_y = _peak(log_y)
    log_y -= peaks_of_y  # small numbers keep more digits through the sums
    # The leave variables are the arrive variables of the sequences reversed, so both are found at once. Each sequence is reversed
    # within its own length, and its padding stays behind it.
    reversed_state = (end - state) % state.size
    reverse = ((input_lengths - 1 - time) % steps)[:, None], reversed_state, sequence
    arrive, peaks = _arrive(
        np.concatenate((log_y, log_y[reverse]), axis=2), np.concatenate((class_of, class_of[reversed_state, sequence]), axis=1)
    )
    with np.errstate(over="ignore"):  # where no path is possible, the peaks are the lowest numbers, and their sum is −∞
        peaks = peaks[:, :count]
        peaks[1:] += peaks_of_y[:, 0]
        within = np.arange(steps + 1)[:, None] <= input_lengths
        log_likelihood = arrive[input_lengths, end, sequence] + np.where(within, peaks, 0.0).sum(axis=0)
    impossible = np.isneginf(log_likelihood)
    losses = np.where(impossible & zero_infinity, 0, -log_likelihood)
    divisor = np.maximum(target_lengths, 1).astype(x.dtype) if reduction == "mean" else x.dtype.type(1)
    output, reduce_backward = reduce(op, (losses / divisor).reshape(log_probs.shape[1:-1]), reduction)

    def backward(grad_output, needs=None):
        need_log_probs, *_ = needed(op, needs, 4)
        grad_losses = reduce_backward(grad_output).reshape(count) / divisor
        if not need_log_probs:
            return None, None, None, None
        p = arrive[:-1, :, :count] + log_y
        p += arrive[:-1, :, count:][reverse]
        p -= _peak(p)
        np.exp(p, out=p)
        p /= np.maximum(p.sum(axis=1, keepdims=True), 1.0)  # the largest p is 1, so the sum is at least 1, unless all are 0
        place = (time * count + sequence)[:, None] * classes + emitted
        occupancy = np.bincount(place.ravel(), p.ravel(), x.size).reshape(x.shape).astype(x.dtype)
        unknown = 0.0 if zero_infinity else np.nan
        grad_x = occupancy * np.where(impossible, unknown, -grad_losses).astype(x.dtype)[:, None]
        grad_x[time >= input_lengths] = 0.0
        return grad_x.reshape(log_probs.shape), None, None, None

    return output, backward


def _arrive(log_y: Array, class_of: Array) -> tuple[Array, Array]:
    """Return log arriveₜ(s) at each time and after the last, relative to its peak over the states, and these peaks.

    They are logarithms because the probabilities of long sequences underflow, and relative because small numbers keep more digits.
    """
    steps, states, count = log_y.shape
    arrive = np.empty((steps + 1, states, count), log_y.dtype)
    peaks = np.empty((steps + 1, count), log_y.dtype)
    depart = np.full((states + 2, count), -np.inf, log_y.dtype)
    depart[2] = 0.0  # all paths begin at the start
    from_two_before, from_before, from_itself = depart[:-2], depart[1:-1], depart[2:]
    bars = np.zeros((states, count), log_y.dtype)
    bars[2:] = np.where(class_of[2:] == class_of[:-2], -np.inf, 0.0)  # no path leaps over the blank between equal labels
    lowest = np.finfo(log_y.dtype).min
    for t in range(steps + 1):
        # The log of a sum of three exponentials: the largest exponent, plus log1p of the other two exponentials relative to it.
        leap, high, low = from_two_before + bars, np.maximum(from_before, from_itself), np.minimum(from_before, from_itself)
        largest = np.maximum(high, leap)
        finite = np.maximum(largest, lowest)  # where all three are −∞, they are still −∞ less this number
        arrived = np.log1p(np.exp(low - finite) + np.exp(np.minimum(high, leap) - finite))
        arrived += largest
        peaks[t] = np.maximum.reduce(arrived, axis=0, initial=lowest)
        np.subtract(arrived, peaks[t], out=arrive[t])
        if t < steps:
            np.add(arrive[t], log_y[t], out=from_itself)
    return arrive, peaks


def _peak(x: Array) -> Array:
    """The largest over the states; where all are −∞, the lowest number, which leaves them −∞ when it is subtracted."""
    return np.maximum.reduce(x, axis=1, keepdims=True, initial=np.finfo(x.dtype).min)


def _lengths(op: str, name: str, lengths: Any, count: int, most: int) -> Array:
    if isinstance(lengths, (tuple, list)):
        lengths = np.asarray([require_integer(op, name, length) for length in lengths])
    elif isinstance(lengths, int):
        lengths = np.asarray(require_integer(op, name, lengths))
    require_indices(op, name, lengths)
    if lengths.shape != () or count != 1:
        require_shape(op, name, lengths, (count,))
    if lengths.min() < 0 or lengths.max() > most:
        raise ValueError(f"{op}: {name} must be from 0 to {most}, got {lengths.tolist()}")
    return lengths.reshape(count).astype(int)


def _labels(op: str, targets: Array, target_lengths: Array, blank: int, classes: int) -> Array:
    """The targets of each sequence in a row, filled up with zeros."""
    kept = np.arange(target_lengths.max()) < target_lengths[:, None]
    if targets.ndim == 1:
        require_shape(op, "targets", targets, (int(target_lengths.sum()),))
    elif targets.ndim != 2 or len(targets) != len(kept) or targets.shape[1] < kept.shape[1]:
        expected = f"({len(kept)}, S) with S of at least {kept.shape[1]}, or ({target_lengths.sum()})"
        raise ValueError(f"{op}: targets must have shape {expected}, got {targets.shape}")
    else:
        targets = targets[:, : kept.shape[1]][kept]
    if (wrong := (targets < 0) | (targets >= classes) | (targets == blank)).any():
        raise ValueError(
            f"{op}: targets must be classes from 0 to {classes - 1} but for the blank, {blank}, got {targets[wrong][0]}"
        )
    labels = np.zeros(kept.shape, int)
    labels[kept] = targets
    return labels


class CTCLoss(Module):
    """`ctc_loss` as a module."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(self, log_probs: Array, targets: Array, input_lengths: Any, target_lengths: Any) -> tuple[Array, Backward]:
        """Compare `log_probs` over time with the labels `targets`."""
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            blank=self.blank,
            reduction=self.reduction,
            zero_infinity=self.zero_infinity,
        )
