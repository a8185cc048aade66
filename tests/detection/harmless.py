"""Faults that change nothing that a case could see, each with the reason.

By operation or module: how the statement begins, and what stands there instead. An entry whose fault is caught, or is not there any
more, fails the test.
"""

SLOWER = "takes longer, and changes nothing"
UNWANTED = "a gradient that nobody needs is made, and dropped by the mechanism"
NEVER_THERE = "no number comes there that this treats otherwise"
SAME = "both ways are right, to the last digits"
REFUSED = "decides what is refused, and with which words; the tests of errors see it"
RANDOM = "draws random numbers, which no case compares; the chapter's own tests do"
NUMBER = "of a single number NumPy makes a scalar, which is as good as an array of no axis"
NOT_AN_ARRAY = "only for arguments that no case can hold, as they are not arrays; the chapter's own tests do"
CHUNKS = "how many samples are taken at once changes the memory alone, which the chapter's own tests measure"
FAR = "the formula for the far tail is right everywhere, only slower"
IGNORED = "∞ and NaN in what is ignored: torch's gradient is NaN, the chapter's tests see it"
INFINITE = "no case has a constant that is not finite; the chapter's own tests do"
NAN = "no case has NaN among its scores; the chapter's own tests do"
MEMORY = "takes more memory, which the chapter's own tests measure"
CAST = "no case has another dtype, which the chapter's own tests give"
WRAPS = "indices below 0 count from the end, as the remainder does"
ZERO = "0 is divided, by whatever is not 0"
DIGITS = "gains digits, but none that r ≤ 30 would miss"
SHAPE = "the checks look at the shape alone"
ONLY = "the only entry is the last as well"
MODULE = "what a module does without need is seen by tests/test_module.py"

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
    "linear": {("return grad.copy() if", "grad.copy()"): SLOWER},
    "bilinear": {("if need_x1 or need_weight:", "if True:"): UNWANTED},
    "leaky_relu": {
        ("finite = ", "zeroed(math.isfinite(negative_slope))"): SLOWER,
        ("finite = ", "negative_slope"): INFINITE,
        ("if not finite:", "if True:"): SLOWER,
        ("if not finite:", "if False:"): INFINITE,
        ("return np.where(x > 0.0", "zeroed(np.where(x > 0.0, x.dtype.type(1.0), negative))"): INFINITE,
        ("return np.where(x > 0.0", "x > 0.0"): INFINITE,
        ("return np.where(x > 0.0", "x.dtype.type(1.0)"): INFINITE,
        ("return np.where(x > 0.0", "negative"): INFINITE,
        ("return np.where(x > 0.0", "x >= 0.0"): INFINITE,
        ("return np.where(x > 0.0", "x <= 0.0"): INFINITE,
        ("return np.where(x > 0.0", "zeroed(x.dtype.type(1.0))"): INFINITE,
    },
    "prelu": {
        ("channels = ", "0"): "without channels, a weight of one number is let through all the same",
        ("slope = ", "zeroed(math.isfinite(np.vdot(weight, weight)))"): SLOWER,
        ("slope = ", "np.vdot(weight, weight)"): INFINITE,
        ("slope = ", "zeroed(np.vdot(weight, weight))"): INFINITE,
    },
    "rrelu": {
        ("if noise is None:", "if False:"): RANDOM,
        ("noise = ", "zeroed(np.random.default_rng(generator).uniform(lower, upper, x.shape))"): RANDOM,
        ("noise = ", "np.random.default_rng(generator)"): RANDOM,
        ("noise = ", "zeroed(np.random.default_rng(generator))"): RANDOM,
        ("noise = ", "generator"): RANDOM,
        ("finite = ", "zeroed(bool(np.isfinite(noise).all()))"): SLOWER,
        ("finite = ", "zeroed(np.isfinite(noise).all())"): SLOWER,
        ("finite = ", "zeroed(np.isfinite(noise))"): SLOWER,
        ("finite = ", "noise"): INFINITE,
        ("return elementwise(", "noise"): "noise of any dtype is taken into that of the slope",
    },
    "threshold": {
        ("bits = ", "f'i{x.dtype.itemsize}'"): "NumPy takes the name of a dtype for the dtype",
        ("y = np.empty_like(x) if out", "np.empty_like(x)"): "only parts of a large array have a place; the tests of parts see it",
    },
    "tanhshrink": {
        ("innermost, *outer = ", "FRACTION"): SLOWER,
        ("innermost, *outer = ", "4"): SLOWER,
    },
    "softplus": {
        ("if beta != 1.0:", "if True:"): SLOWER,
        ("lowest = -4.0", "4.0"): FAR,
        ("z = np.exp(", "beta * x"): SLOWER,
        ("slope = np.where(v > 0", "v >= 0"): NEVER_THERE,
        ("slope = np.where(v > 0", "-1"): NEVER_THERE,
        ("linear = v > threshold", "v >= threshold"): NEVER_THERE,
        ("return elementwise(", "-1"): FAR,
        ("return elementwise(", "0"): FAR,
    },
    "elu": {
        ("return ... if math.isfinite(alpha)", "..."): INFINITE,
        ("return ... if math.isfinite(alpha)", "x < 0.0"): SLOWER,
        ("return ... if math.isfinite(alpha)", "x <= 0.0"): INFINITE,
        ("return ... if math.isfinite(alpha)", "x >= 0.0"): INFINITE,
        ("if alpha != 1.0:", "if True:"): SLOWER,
        ("slope *= slopes(", "zeroed(math.isfinite(alpha))"): SLOWER,
        ("slope *= slopes(", "alpha"): INFINITE,
        ("if scale != 1.0:", "if True:"): SLOWER,
    },
    "celu": {
        ("if alpha != 1.0:", "if True:"): SLOWER,
        ("lowest = ", "-4.0 * abs(alpha)"): SLOWER,
        ("lowest = ", "abs(alpha)"): SLOWER,
        ("lowest = ", "4.0"): SLOWER,
        ("lowest = ", "zeroed(abs(alpha))"): SLOWER,
        ("lowest = ", "alpha"): SLOWER,
        ("lowest = ", "math.isfinite(alpha)"): SLOWER,
        ("lowest = ", "alpha != 1.0"): INFINITE,
    },
    "gelu": {
        ("lowest = ", "-4.8"): "too low in float64, which tests/test_accuracy.py sweeps; here float32 is swept",
        ("lowest = ", "-3.8"): FAR,
        ("cdf = np.where(x > 0.0", "0.5 * erfcx(-math.sqrt(0.5) * c.astype(np.float64)) * z"): SAME,
        ("cdf = np.where(x > 0.0", "x >= 0.0"): NEVER_THERE,
        ("if x.dtype != np.float32:", "if True:"): SLOWER,
        ("cdf = (x >= 0.0)", "x > 0.0"): SAME,
        ("return (np.where(x > 0.0, x, y)", "slope"): SAME,
        ("return (np.where(x > 0.0, x, y)", "x >= 0.0"): NEVER_THERE,
    },
    "softmax": {
        ("if dtype is None:", "if True:"): CAST,
        ("cast = ", "zeroed(x.astype(require_dtype(op, dtype)))"): CAST,
        ("cast = ", "x"): CAST,
        ("cast = ", "zeroed(require_dtype(op, dtype))"): CAST,
        ("output, rows_backward = ", "zeroed(by_rows(op, function, cast, dim=dim))"): CAST,
        ("output, rows_backward = ", "by_rows(op, function, cast, dim=dim - 1)"): CAST,
        ("grad, = ", "zeroed(rows_backward(grad_output, needs))"): CAST,
        ("return (None if grad is None", "None"): CAST,
        ("return (None if grad is None", "grad.astype(x.dtype)"): CAST,
        ("return (None if grad is None", "zeroed(grad.astype(x.dtype))"): CAST,
        ("return (None if grad is None", "grad"): CAST,
    },
    "gumbel_softmax": {
        ("if noise is None:", "if False:"): RANDOM,
        ("noise = ", "zeroed(np.asarray(np.random.default_rng(generator).gumbel(size=logits.shape)))"): RANDOM,
        ("noise = ", "np.random.default_rng(generator).gumbel(size=logits.shape)"): NUMBER,
        ("noise = ", "zeroed(np.random.default_rng(generator).gumbel(size=logits.shape))"): RANDOM,
        ("noise = ", "np.random.default_rng(generator)"): RANDOM,
        ("noise = ", "np.random.default_rng(generator).gumbel()"): RANDOM,
        ("noise = ", "zeroed(np.random.default_rng(generator))"): RANDOM,
        ("noise = ", "generator"): RANDOM,
        ("np.put_along_axis(", "1.0"): NAN,
        (
            "np.put_along_axis(",
            "zeroed(np.take_along_axis(output, largest, dim))",
        ): NAN,
        ("np.put_along_axis(", "1.0 - np.take_along_axis(output, largest, dim)"): "0 or NaN is subtracted as well as added",
        ("if hard and output.size", "hard and output.ndim"): "of an axis without entries torch takes no largest, and has no case",
    },
    "mse_loss": {("for _ in range(2)", "1"): DIGITS},
    "gaussian_nll_loss": {
        ("variance = ", "_along(op, var, x)"): NOT_AN_ARRAY,
        ("variance = ", "zeroed(x.dtype.type(var))"): NOT_AN_ARRAY,
        ("v = (variance if", "variance"): NOT_AN_ARRAY,
        ("v = (variance if", "v"): NOT_AN_ARRAY,
        ("return (loss, slope", "lambda: 0.5 * (1.0 / v - slope * slope)"): NOT_AN_ARRAY,
        ("output, curve_backward = ", "variance"): NOT_AN_ARRAY,
        ("if var.ndim == x.ndim", "if True:"): REFUSED,
        ("if var.ndim == x.ndim", "var.ndim == x.ndim"): REFUSED,
        (
            "if var.ndim == x.ndim",
            "[size for size, expected in zip(var.shape, x.shape) if size != expected] == [1]",
        ): REFUSED,
    },
    "binary_cross_entropy": {
        ("loss = (target - 1.0)", "log_rest.clip(-100.0, None)"): NEVER_THERE,
        ("loss -= target", "log_x.clip(-100.0, None)"): NEVER_THERE,
        ("slope /= ", "(x * (1.0 - x)).clip(1e-12, None)"): NEVER_THERE,
    },
    "nll_loss": {
        (
            "if ignored is not None:",
            "if False:",
        ): IGNORED,
        ("x = np.where(", "x"): IGNORED,
        ("x = np.where(", "zeroed(np.expand_dims(ignored, axis))"): IGNORED,
        ("return grad_losses if ignored", "np.where(ignored, 0.0, grad_losses)"): SLOWER,
        ("index, classes, ignored", "target"): NUMBER,
        ("if lowest <= ignore_index", "if True:"): SLOWER,
        ("lowest, highest = ", "zeroed(smallest(index))"): REFUSED,
        ("lowest, highest = ", "zeroed(largest(index))"): REFUSED,
        ("if weight is None and ignored is None:", "if False:"): SLOWER,
    },
    "cross_entropy": {
        ("if isinstance(target", "target.dtype.kind == 'f' and target.shape == x.shape"): REFUSED,
        ("if isinstance(target", "isinstance(target, np.ndarray) and target.shape == x.shape"): REFUSED,
        ("if isinstance(target", "isinstance(target, np.ndarray) and target.dtype.kind == 'f'"): REFUSED,
        (
            "if ignored is not None:",
            "if False:",
        ): IGNORED,
        ("x = np.where(", "x"): IGNORED,
        ("x = np.where(", "zeroed(np.expand_dims(ignored, axis))"): IGNORED,
        ("if label_smoothing:", "if True:"): SLOWER,
        ("if need_x:", "if True:"): UNWANTED,
        ("if need_q:", "if True:"): UNWANTED,
        ("smoothed = ", "(1 - label_smoothing) * target + label_smoothing / x.shape[axis]"): SLOWER,
    },
    "linear_cross_entropy": {
        ("of_classes = ", "target.dtype.kind == 'f'"): REFUSED,
        (
            "*_, total = ",
            "zeroed(np.broadcast_to(x.dtype.type(0), probabilities))",
        ): MEMORY,
        ("*_, total = ", "zeroed(x.dtype.type(0))"): SHAPE,
        ("*_, total = ", "-1"): SHAPE,
        ("classes, *positions = ", "linear_weight.shape[:-1]"): REFUSED,
        ("classes, *positions = ", "-1"): REFUSED,
        ("size = ", "len(rows)"): CHUNKS,
        ("size = ", "zeroed(len(rows))"): CHUNKS,
        ("size = ", "0"): CHUNKS,
        ("chunks = ", "[slice(None)]"): CHUNKS,
        ("kept = ", "None"): SLOWER,
        ("kept = ", "-1"): ONLY,
        ("losses = ", "np.concatenate([run(chunk)[0] for chunk in chunks])"): SLOWER,
        ("_, chunk_backward = ", "run(chunk)"): SLOWER,
    },
    "multi_margin_loss": {
        ("y = target.reshape(samples)", "target"): "the rows mechanism takes one number for one row in any shape"
    },
    "multilabel_margin_loss": {("most = ", "listed"): "more columns than there are targets, in which no target stands"},
    "multilabel_soft_margin_loss": {("output = ", "np.add.reduce(entropies, axis=axis) / classes"): NUMBER},
    "triplet_margin_loss": {
        ("if swap:", "if True:"): SLOWER,
        ("distance, norm_backward = ", "_minkowski_norm(difference, p)"): SLOWER,
        ("if not (need_x1 or need_x2):", "if False:"): UNWANTED,
        ("scale = ", "norm + (norm == 0.0)"): DIGITS,
        ("scale = ", "p <= 64.0"): DIGITS,
        ("scale = ", "np.frexp(norm)[1]"): DIGITS,
        ("scale = ", "np.frexp(norm)[1] + 1"): DIGITS,
        ("scale = ", "0"): DIGITS,
        ("scale = ", "norm - (norm == 0.0)"): ZERO,
        ("return x * ", "norm - (norm == 0.0)"): ZERO,
    },
    "ctc_loss": {
        ("class_of[2:-1:2] = ", "-2"): "of every second state, the same ones",
        ("peaks_of_y = ", "zeroed(_peak(log_y))"): DIGITS,
        ("reversed_state = ", "end - state"): WRAPS,
        ("reverse = ", "input_lengths - 1 - time"): WRAPS,
        ("peaks[1:] += ", "-1"): "an axis of one has the same entry first and last",
        (
            "log_likelihood = ",
            "arrive[input_lengths, end - 1, sequence]",
        ): "the last blank is reached from the same states as the end",
        ("grad_losses = ", "reduce_backward(grad_output)"): "of one sequence without a batch, a number is as good as an array",
        ("grad_x = ", "np.where(impossible, unknown, -grad_losses)"): SAME,
        (
            "peaks[t] = ",
            "zeroed(np.maximum.reduce(arrived, axis=0, initial=lowest))",
        ): DIGITS,
        ("peaks[t] = ", "np.maximum.reduce(arrived, axis=0)"): NEVER_THERE,
        ("if isinstance(lengths, (tuple, list)):", "if False:"): NOT_AN_ARRAY,
        ("lengths = ", "zeroed(np.asarray([require_integer(op, name, length) for length in lengths]))"): NOT_AN_ARRAY,
        ("lengths = ", "[require_integer(op, name, length) for length in lengths]"): NOT_AN_ARRAY,
        ("lengths = ", "zeroed(require_integer(op, name, length))"): NOT_AN_ARRAY,
        ("if isinstance(lengths, int):", "if False:"): NOT_AN_ARRAY,
        ("lengths = ", "zeroed(np.asarray(require_integer(op, name, lengths)))"): NOT_AN_ARRAY,
        ("lengths = ", "require_integer(op, name, lengths)"): NOT_AN_ARRAY,
        ("lengths = ", "zeroed(require_integer(op, name, lengths))"): NOT_AN_ARRAY,
        ("return lengths.reshape(count)", "lengths.reshape(count)"): "indices of any integer type are as good",
    },
    "Identity": {("return (grad_output if", "grad_output"): MODULE},
    "RReLU": {
        (
            "return rrelu(",
            "rrelu(input, lower=self.lower, upper=self.upper, generator=self.generator)",
        ): RANDOM,
        ("return rrelu(", "rrelu(input, lower=self.lower, upper=self.upper, training=self.training)"): RANDOM,
    },
    "LinearCrossEntropyLoss": {
        (
            "return self.call(",
            "self.call(_of_layer, input, self.linear.weight, target, self.linear.bias, Buffer(self.weight), "
            "out_features=self.out_features, reduction=self.reduction, ignore_index=self.ignore_index, "
            "label_smoothing=self.label_smoothing)",
        ): CHUNKS,
    },
    "AdaptiveLogSoftmaxWithLoss": {
        ("members = ", "cluster == i + 1"): "a mask chooses the same samples as their indices",
        ("if members.size:", "if True:"): SLOWER,
        ("if need_x:", "if True:"): MODULE,
        ("return (grad_x.reshape", "grad_x.reshape(input_.shape)"): MODULE,
        ("return network_backward(", "-1"): ONLY,
    },
}

# Functions that are not broken here, and why.
BROKEN_ELSEWHERE = {
    "samples_at_once": "only says how many samples are taken at once; its own tests hold its numbers against torch's"
}
