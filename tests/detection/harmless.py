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
PADDING = "of a window wholly in the padding, where torch reads and writes out of bounds; the chapter's own tests have one"
NOTHING = "torch has no backward for an output of nothing; the chapter's own tests have one"
VIEW = "makes the output a view of x in some cases, which tests/test_contract.py sees"
SPARSE = "a RowGradient and its dense() are the same gradient; the chapter's own tests see which of both it is, and that it is new"
UNSIGNED = "only unsigned indices of 64 bits need it, which torch does not take; the chapter's own tests do"
TABLE = "what a forward writes into the table is seen by the chapter's own tests"
PARTS = "only the parts of a large array need it, which the tests of parts see"
EMPTY = "torch's backward fails for an empty batch, so there is no case; the chapter's own tests see it"
REST = "whatever is subtracted first, what is left of the mean is subtracted after it"
ROUNDED = "in no case rounding decides; the chapter's own tests have the sizes where it does"
LAYOUT = "the cases are in order in memory; tests/test_agreement.py has them in other orders"

FIRST_CALL = "what the first call returns is seen by tests/test_lazy.py"
WITHOUT_A_BATCH = "torch takes the cells for the channels, so that no case can; tests/test_lazy.py does"

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
    "linear": {("return grad.copy() if", "grad.copy()"): SLOWER},
    "bilinear": {("if need_x1 or need_weight:", "if True:"): UNWANTED},
    "max_pool1d": {
        ("if return_indices:", "if True:"): SLOWER,
        ("np.minimum(coordinate", "pass"): PADDING,
        ("np.minimum(coordinate", "shape[along.axis]"): PADDING,
        ("np.minimum(coordinate", "shape[along.axis] + 1"): PADDING,
        ("np.minimum(coordinate", "0"): PADDING,
        (
            "place = ",
            "zeroed(len(windows.taps))",
        ): "no case has a window of 256 cells; the chapter's own tests do",
        ("candidate = ", "x[cells]"): SLOWER,
        ("if k == 0:", "if False:"): SLOWER,
        ("kernels = ", "0"): REFUSED,
        ("strides = ", "0"): REFUSED,
        ("paddings = ", "-1"): REFUSED,
        ("dilations = ", "0"): REFUSED,
        ("outputs, backward_of_images = ", "pool(x)"): PARTS,
        ("outputs, backward_of_images = ", "by_images(pool, x, len(windows))"): PARTS,
        ("outputs, backward_of_images = ", "zeroed(len(windows))"): PARTS,
        ("output_shape, dtype = ", "-1"): "indices have the shape of what they belong to",
        ("return (outputs if", "-1"): ONLY,
        ("return ((y,) if", "(y, index)"): PARTS,
    },
    "max_unpool1d": {
        ("strides = ", "0"): REFUSED,
        ("places = ", "indices.reshape(pooled)"): LAYOUT,
        ("np.put_along_axis(", "x.reshape(pooled)"): LAYOUT,
    },
    "lp_pool1d": {("return _largest_size(", "p >= 0.0"): NEVER_THERE},
    "adaptive_avg_pool2d": {
        ("if count is None", "count is None and count is not output_size"): REFUSED,
        ("if count is None", "count is None and axes > 1"): REFUSED,
        ("if count is None", "axes >= 1"): REFUSED,
        ("count = ", "-1"): REFUSED,
        ("if count and cells", "if False:"): SLOWER,
        ("if count and cells", "cells % count == 0"): NOTHING,
        ("start = ", "0"): NOTHING,
        ("size = ", "0"): NOTHING,
        ("for k in range(", "size.max()"): NOTHING,
        ("for k in range(", "-1"): NOTHING,
        ("return AxisWindows(", "np.add.at"): SLOWER,
        ("return AxisWindows(", "count < cells"): NEVER_THERE,
    },
    "fractional_max_pool2d": {
        ("kernels = ", "0"): REFUSED,
        ("if samples is None:", "if False:"): RANDOM,
        ("samples = np", "zeroed(np.random.default_rng(generator).random((batch, channels, axes), x.dtype))"): RANDOM,
        ("samples = np", "np.random.default_rng(generator)"): RANDOM,
        ("samples = np", "zeroed(np.random.default_rng(generator))"): RANDOM,
        ("samples = np", "generator"): RANDOM,
        (
            "samples = samples[",
            "samples[:batch]",
        ): "no rounding decides with the samples of the cases; the chapter's own tests do",
        ("start[..., :-1] = ", "(i + u) * alpha"): "the array of integers cuts the fraction off",
        ("return require_integers(", "-1"): REFUSED,
        ("ratios = ", "output_ratio"): "torch's function takes no single ratio; the chapter's own tests do",
        ("ratios = ", "(output_ratio,)"): "torch's function takes no single ratio; the chapter's own tests do",
        ("ratios = ", "axes"): "torch's function takes no single ratio; the chapter's own tests do",
    },
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
    "FractionalMaxPool2d": {
        (
            "return self.call(",
            "self.call(self._operation, input, kernel_size=self.kernel_size, output_size=self.output_size, "
            "output_ratio=self.output_ratio, return_indices=self.return_indices, _random_samples=self._random_samples)",
        ): RANDOM
    },
    "LinearCrossEntropyLoss": {
        (
            "return self.call(",
            "self.call(_of_layer, input, self.linear.weight, target, self.linear.bias, Buffer(self.weight), "
            "out_features=self.out_features, reduction=self.reduction, ignore_index=self.ignore_index, "
            "label_smoothing=self.label_smoothing)",
        ): CHUNKS
    },
    "rotary_embedding": {
        ("offset = ", "require_integer(op, 'offset', offset)"): REFUSED,
        ("offset = ", "-1"): REFUSED,
        ("longer = ", "np.longdouble"): SLOWER,
        ("frequency = ", "zeroed(longer(0.0))"): "it is zero",
        ("if x.strides[-1] != x.itemsize:", "if True:"): SLOWER,
        ("if x.strides[-1] != x.itemsize:", "if False:"): LAYOUT,
        ("x = x.copy()", "zeroed(x.copy())"): LAYOUT,
        ("x = x.copy()", "x"): LAYOUT,
    },
    "SwiGLU": {("return (from_gate + from_up if", "from_gate + from_up"): MODULE},
    "AdaptiveLogSoftmaxWithLoss": {
        ("members = ", "cluster == i + 1"): "a mask chooses the same samples as their indices",
        ("if members.size:", "if True:"): SLOWER,
        ("if need_x:", "if True:"): MODULE,
        ("return (grad_x.reshape", "grad_x.reshape(input_.shape)"): MODULE,
        ("return network_backward(", "-1"): ONLY,
    },
    "pad": {
        ("padded = ", "np.full(shape, value, x.dtype)"): SLOWER,
        ("if mode != 'constant':", "if True:"): SLOWER,
    },
    "flatten": {("start = ", "require_axis('flatten', x, start_dim, 'start_dim')"): REFUSED},
    "channel_shuffle": {("return x.reshape(", "x.reshape(n, groups, channels // groups, *rest).swapaxes(1, 2)"): VIEW},
    "cosine_similarity": {("of_norm = ", "norm - (norm == 0.0)"): ZERO},
    "pairwise_distance": {
        ("if not (need_x1 or need_x2):", "if False:"): UNWANTED,
        ("if p == 2.0:", "if False:"): SLOWER,
        ("norm = np.max(", "p >= 0"): "p = 0 does not come there",
        ("return x * ", "norm - (norm == 0.0)"): ZERO,
        ("scale = ", "extreme + ~found"): DIGITS,
        ("scale = ", "abs(p) <= 64.0"): DIGITS,
        ("scale = ", "np.frexp(extreme)[1]"): DIGITS,
        ("scale = ", "np.frexp(extreme)[1] + 1"): DIGITS,
        ("scale = ", "0"): DIGITS,
        ("scale = ", "extreme - ~found"): ZERO,
    },
    "mse_loss": {("for _ in range(2)", "1"): DIGITS},
    "embedding": {
        ("if padding_idx is not None:", "if True:"): SLOWER,
        ("if sparse:", "if True:"): SPARSE,
        ("if sparse:", "if False:"): SPARSE,
        ("return (None, RowGradient(looked_up.copy()", "looked_up"): SPARSE,
        ("return (None, RowGradient(looked_up.copy()", "rows"): SPARSE,
        ("return (None, RowGradient(looked_up, rows", "RowGradient(looked_up, rows, weight.shape)"): SPARSE,
        ("index = np.asarray(x)", "x"): NUMBER,
        ("return index.astype(", "index"): UNSIGNED,
        ("return index.astype(", "index.astype(np.intp)"): SLOWER,
        ("if max_norm is not None:", "if False:"): REFUSED,
    },
    "one_hot": {
        ("num_classes = ", "require_integer(op, 'num_classes', num_classes)"): REFUSED,
        ("num_classes = ", "-2"): REFUSED,
        ("index = np.asarray(x)", "x"): NUMBER,
    },
    "embedding_bag": {
        ("kept: Any = ", "index != padding_idx"): SLOWER,
        ("if sparse:", "if True:"): SPARSE,
        ("if sparse:", "if False:"): SPARSE,
        ("grad_weight = RowGradient(", "index"): SPARSE,
        ("bounds = offsets.astype(", "offsets"): UNSIGNED,
    },
    "LazyLinear": {("return self.begin(", "zeroed(self.begin(input, axis=-1))"): FIRST_CALL},
    "LazyConv1d": {("return self.begin(", "zeroed(self.begin(input, axis=-1 - self.axes))"): FIRST_CALL},
    "LazyConvTranspose1d": {("return self.begin(", "zeroed(self.begin(input, output_size, axis=-1 - self.axes))"): FIRST_CALL},
    "LazyBatchNorm1d": {
        ("return self.begin(", "zeroed(self.begin(input, axis=self.channels_of(input)))"): FIRST_CALL,
        ("return 1 if np.ndim(input)", "1"): WITHOUT_A_BATCH,
        ("return 1 if np.ndim(input)", "-1"): WITHOUT_A_BATCH,
    },
    "Embedding": {
        (
            "result = ",
            "self.call(embedding, input, self.weight, padding_idx=self.padding_idx, max_norm=self.max_norm, "
            "norm_type=self.norm_type, scale_grad_by_freq=self.scale_grad_by_freq)",
        ): SPARSE,
        ("clip_table(", "pass"): TABLE,
        ("if module.max_norm is not None:", "if False:"): TABLE,
        ("used, rows, _ = ", "zeroed(clipped(module.weight.data, input, module.max_norm, module.norm_type))"): TABLE,
        ("module.weight.data[used] = rows", "pass"): TABLE,
        ("module.weight.data[used] = rows", "module.weight.data[used - 1]"): TABLE,
    },
    "EmbeddingBag": {
        (
            "result = ",
            "self.call(embedding_bag, input, self.weight, Input(offsets), Input(per_sample_weights), max_norm=self.max_norm, "
            "norm_type=self.norm_type, scale_grad_by_freq=self.scale_grad_by_freq, mode=self.mode, "
            "include_last_offset=self.include_last_offset, padding_idx=self.padding_idx)",
        ): SPARSE,
        ("clip_table(", "pass"): TABLE,
    },
    "conv1d": {
        ("stride, dilation = ", "0"): REFUSED,
        ("return [(p, p) for p in require_integers(", "-1"): REFUSED,
        ("groups = ", "0"): REFUSED,
    },
    "conv_transpose1d": {
        ("stride, dilation = ", "0"): REFUSED,
        ("padding = ", "-1"): REFUSED,
        ("added = ", "-1"): REFUSED,
    },
    "fold": {("windows = ", "0"): REFUSED},
    "conv_tbc": {("pad = ", "-1"): REFUSED},
    "Conv1d": {("return (None,) if", "pad_backward(grad_padded)"): "no case leaves a gradient out; the chapter's own tests do"},
    "layer_norm": {
        ("grad_x = through_statistics(", "-1"): ONLY,
        ("grad_weight = ", "-1"): ONLY,
        ("return ((affine(", "-1"): ONLY,
        ("mean = ", "np.einsum('gnl->g', disordered(x))"): REST,
        ("return (x_hat, mean + rest", "mean"): DIGITS,
        ("return (x_hat, mean + rest", "mean - rest"): DIGITS,
        ("(output,), rows_backward = ", "by_groups(function, rows, *row_weights)"): PARTS,
        ("(output,), rows_backward = ", "zeroed(len(weights))"): PARTS,
    },
    "group_norm": {
        ("num_groups = ", "require_integer(op, 'num_groups', num_groups)"): REFUSED,
        ("num_groups = ", "0"): REFUSED,
        ("(output,), cells_backward = ", "by_groups(function, cells, weight, bias)"): PARTS,
        ("(output,), cells_backward = ", "1"): PARTS,
        ("if need_x:", "if True:"): UNWANTED,
        ("grad_x = through_statistics(", "through_statistics(g_hat.reshape(groups), x_hat, inverse)"): PARTS,
    },
    "batch_norm": {
        ("eps = ", "'a number of at least 0'"): REFUSED,
        ("grad_x = ", "through(g, x_hat, scale)"): UNWANTED,
    },
    "instance_norm": {("mean, var = ", "0"): EMPTY},
    "normalize": {
        ("if p == 2.0:", "if False:"): SLOWER,
        ("extreme = ", "p >= 0.0"): NEVER_THERE,
    },
    "local_response_norm": {
        ("return (require_integer(op, 'size'", "require_integer(op, 'size', size)"): REFUSED,
        ("return (require_integer(op, 'size'", "0"): REFUSED,
    },
    "InstanceNorm1d": {("if own and", "own and self.running_mean is not None and (self.momentum is not None)"): EMPTY},
    "interpolate": {
        ("axes.append(", "weight"): SLOWER,
        ("output = np.ascontiguousarray(", "x"): SLOWER,
        ("grad = np.ascontiguousarray(", "cotangent(op, grad_output, out_shape, dtype)"): SLOWER,
        ("k = np.arange(", "np.arange(len(read))"): SLOWER,
        ("k = np.arange(", "np.arange(len(read)) + np.searchsorted(read, read)"): SLOWER,
        ("k = np.arange(", "zeroed(np.searchsorted(read, read))"): SLOWER,
        ("if grad.size == 0:", "if False:"): NOTHING,
        ("if len(index) == 1 and", "if False:"): SLOWER,
        ("ratio = np.longdouble(n) / m", "n"): DIGITS,
        ("ratio = np.longdouble(n) / m", "scale"): DIGITS,
        ("near = d < 1.0", "d <= 1.0"): SAME,
        ("near = d < 1.0", "d < 1.001"): NEVER_THERE,
        ("index = start + np.arange(", "(end - start).max()"): NOTHING,
        ("index = start + np.arange(", "0"): NOTHING,
        ("index = start + np.arange(", "end"): SLOWER,
        ("index = start + np.arange(", "end + start"): SLOWER,
        ("place = ", "(i + 0.5) * ratio - 0.5"): ROUNDED,
        ("place = ", "i * ratio"): ROUNDED,
        ("index = place", "place"): ROUNDED,
        ("return (np.minimum(index, n - 1)", "index"): NEVER_THERE,
        ("return (np.minimum(index, n - 1)", "n"): NEVER_THERE,
        ("return (np.minimum(index, n - 1)", "n + 1"): NEVER_THERE,
        ("return (np.minimum(index, n - 1)", "0"): NEVER_THERE,
        ("least = ", "0"): REFUSED,
        ("least = ", "1"): REFUSED,
        ("least = ", "-1"): REFUSED,
    },
    "grid_sample": {
        ("columns = ", "-1"): NEVER_THERE,
        ("reads.check_format()", "pass"): "wrong columns come of faults alone",
        ("pixel, weight, slope = ", "first + 1.001"): "places of pixels are cut down to integers",
        ("return (np.where(", "np.where((pixel >= 0.0) & (pixel < n), pixel, -1.0)"): "SciPy makes integers of them",
        (
            "return (np.where(",
            "pixel < n",
        ): "places that no integer holds are not among the cases; the chapter's own tests have them",
        ("return (np.fmin(", "n - 1.001"): NEVER_THERE,
    },
    "affine_grid": {
        ("batch, _, *sizes = ", "require_integer(op, 'size', n)"): REFUSED,
        ("batch, _, *sizes = ", "0"): REFUSED,
    },
    "dropout": {
        ("if not training or", "not training"): SLOWER,
        ("if not training or", "mask is None"): RANDOM,
        ("if not training or", "p == 0"): "torch drops nothing where p is 0; the chapter's own tests give a mask that does",
        ("if mask is not None:", "if True:"): RANDOM,
        ("return np.random.default_rng(", "np.random.default_rng(generator).random(shape, np.float32) <= 1.0 - p"): RANDOM,
        ("return np.random.default_rng(", "np.random.default_rng(generator).random(shape, np.float32) >= 1.0 - p"): RANDOM,
        ("return np.random.default_rng(", "zeroed(np.random.default_rng(generator).random(shape, np.float32))"): RANDOM,
        ("return np.random.default_rng(", "np.random.default_rng(generator)"): RANDOM,
        ("return np.random.default_rng(", "zeroed(np.random.default_rng(generator))"): RANDOM,
        ("return np.random.default_rng(", "generator"): RANDOM,
        ("return np.random.default_rng(", "1.0"): RANDOM,
        ("return np.random.default_rng(", "p"): RANDOM,
        ("return np.random.default_rng(", "1.0 + p"): RANDOM,
        ("return np.random.default_rng(", "1.001 - p"): RANDOM,
    },
    "Dropout": {
        ("return dropout(", "dropout(input, p=self.p, training=self.training)"): RANDOM,
    },
    "Dropout1d": {
        ("return dropout1d(", "dropout1d(input, p=self.p, training=self.training)"): RANDOM,
    },
    "Dropout2d": {
        ("return dropout2d(", "dropout2d(input, p=self.p, training=self.training)"): RANDOM,
    },
    "Dropout3d": {
        ("return dropout3d(", "dropout3d(input, p=self.p, training=self.training)"): RANDOM,
    },
    "AlphaDropout": {("return alpha_dropout(", "alpha_dropout(input, p=self.p, training=self.training)"): RANDOM},
    "FeatureAlphaDropout": {
        ("return feature_alpha_dropout(", "feature_alpha_dropout(input, p=self.p, training=self.training)"): RANDOM
    },
    "avg_pool2d": {("(y,), backward = ", "zeroed(len(windows))"): PARTS},
}

# Functions that are not broken here, and why.
BROKEN_ELSEWHERE = {
    "samples_at_once": "only says how many samples are taken at once; its own tests hold its numbers against torch's",
}
