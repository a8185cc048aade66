"""Harmless faults of the losses."""

from tests.detection.harmless.reasons import (
    CHUNKS,
    DIGITS,
    IGNORED,
    MEMORY,
    MODULE,
    NEVER_THERE,
    NOT_AN_ARRAY,
    NUMBER,
    ONLY,
    REFUSED,
    SAME,
    SHAPE,
    SLOWER,
    UNWANTED,
    WRAPS,
)

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
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
    "LinearCrossEntropyLoss": {
        (
            "return self.call(",
            "self.call(_of_layer, input, self.linear.weight, target, self.linear.bias, Buffer(self.weight), "
            "out_features=self.out_features, reduction=self.reduction, ignore_index=self.ignore_index, "
            "label_smoothing=self.label_smoothing)",
        ): CHUNKS
    },
    "AdaptiveLogSoftmaxWithLoss": {
        ("members = ", "cluster == i + 1"): "a mask chooses the same samples as their indices",
        ("if members.size:", "if True:"): SLOWER,
        ("if need_x:", "if True:"): MODULE,
        ("return (grad_x.reshape", "grad_x.reshape(input_.shape)"): MODULE,
        ("return network_backward(", "-1"): ONLY,
    },
    "mse_loss": {("for _ in range(2)", "1"): DIGITS},
}
