"""Harmless faults of what stands between layers."""

from tests.detection.harmless.reasons import CAST, NUMBER, ONLY, REFUSED, SAME, SHAPE, SLOWER, VIEW

NOTHING_TO_CUT = "of nothing, whatever is cut is nothing"
NO_GRADIENTS = "where there are no gradients, tests/test_contract.py sees how many None stand for them"
OF_NOTHING = "torch has no backward for an output of nothing; the chapter's own tests have one"
TIMES_ZERO = "it is multiplied by 0"
FEW = "so few elements keep their order in any sort; the chapter's own tests have more"
SIXTY_FOUR = "NumPy counts in 64 bits already, but on a few systems"

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
    "tensor.add": {
        ("output = x + (other if alpha == 1", "alpha * other"): SLOWER,
        ("return np.positive(grad) if", "np.positive(grad)"): SLOWER,
    },
    "tensor.subtract": {("output = x - (other if alpha == 1", "alpha * other"): SLOWER},
    "tensor.eq": {("return by_rules(op, np.asarray(comparison", "comparison(x, other)"): NUMBER},
    "tensor.where": {
        ("dtype = next(iter", "zeroed(next(iter(arrays.values())))"): "zeros have the dtype as well",
        ("return np.asarray(operand, dtype)", "operand"): SAME,
    },
    "tensor.matmul": {
        ("np.broadcast_shapes", "pass"): REFUSED,
        ("np.broadcast_shapes", "-3"): REFUSED,
        ("if b.ndim == 2:", "if False:"): SLOWER,
    },
    "tensor.einsum": {
        ("for k, (letters, operand) in", "pass"): REFUSED,
        ("for letter, size in", "pass"): REFUSED,
        ("if size != 1:", "if True:"): REFUSED,
        ("if size != 1:", "if False:"): REFUSED,
        ("sizes[letter] = size", "pass"): REFUSED,
        ("return np.array(grad)", "grad"): VIEW,
        ("total = np.einsum", "np.einsum(f\"{','.join(inputs)}->{result}\", *operands)"): SLOWER,
        ("return np.array(total) if", "np.array(total)"): SLOWER,
        ("return np.array(total) if", "total"): VIEW,
    },
    "tensor.sum": {
        ("if dtype is None:", "if True:"): CAST,
        ("return np.asarray(x)", "x"): NUMBER,
        ("return np.asarray(x).astype", "zeroed(np.asarray(x).astype(require_dtype(op, dtype)))"): CAST,
        ("return np.asarray(x).astype", "np.asarray(x)"): CAST,
        ("return np.asarray(x).astype", "zeroed(np.asarray(x))"): CAST,
        ("return np.asarray(x).astype", "x"): CAST,
        ("return np.asarray(x).astype", "zeroed(require_dtype(op, dtype))"): CAST,
    },
    "tensor.mean": {("return by_rules('tensor.mean'", "spread(g / n)"): CAST},
    "tensor.prod": {("return (back(others)", "back(others) * spread(g)"): CAST},
    "tensor.std": {("return spread(np.where(y == 0", "-1"): TIMES_ZERO},
    "tensor.norm": {
        ("return by_rules(op, output, lambda g: back", "back(norm_backward(g.reshape(lines.shape[:-1])))"): CAST,
        (
            "return np.moveaxis(u @ vt",
            "np.moveaxis(u @ vt * g.reshape(*values.shape[:-1], 1, 1), (-2, -1), axes)",
        ): CAST,
    },
    "tensor.logsumexp": {
        ("return by_rules(op, _kept(np.full", "x"): "x is empty",
        ("return by_rules(op, _kept(y, axes, keepdim)", "-1"): ONLY,
        ("largest[~np.isfinite(largest)] = 0", "-1"): SAME,
    },
    "tensor.cumsum": {
        ("return by_rules('tensor.cumsum', y", "np.flip(np.add.accumulate(np.flip(g, axis), axis), axis)"): CAST,
    },
    "tensor.max": {
        ("y = sealed(np.asarray(x.reshape(-1)", "x.reshape(-1)[place(x)]"): NUMBER,
        ("output = (values.reshape(shape)", "places"): SIXTY_FOUR,
    },
    "tensor.amax": {
        ("kept = np.asarray(of_two.reduce", "of_two.reduce(x, axis=axes, keepdims=True)"): NUMBER,
        ("return by_rules(op, y.copy()", "y"): VIEW,
    },
    "tensor.argmax": {
        ("return by_rules(op, np.asarray(place", "place(x, axis=axis if x.ndim else None, keepdims=keepdim)"): SIXTY_FOUR,
    },
    "tensor.sort": {
        ("return np.argsort(lines, axis", "np.argsort(lines, axis)"): FEW,
        ("backwards = np.argsort", "np.argsort(np.flip(lines, axis), axis)"): FEW,
    },
    "tensor.unsqueeze": {("dim = require_axis('tensor.unsqueeze'", "0"): SHAPE},
    "tensor.repeat": {("return by_rules(op, np.tile", "np.add.reduce(g.reshape(split), axis=copies)"): NUMBER},
    "tensor.flip": {("return by_rules('tensor.flip'", "np.flip(x, axes)"): VIEW},
    "tensor.roll": {("for axis in axes:", "pass"): REFUSED},
    "tensor.index": {
        ("return sums.astype(x.dtype", "sums.astype(x.dtype)"): SLOWER,
        ("return (tuple(basic), tuple(advanced) if", "tuple(advanced)"): VIEW,
        ("for part in (item.start", "pass"): REFUSED,
        (
            "if isinstance(item, np.ndarray) and",
            "isinstance(item, np.ndarray) and item.dtype != np.uint8 and (item.ndim or item.dtype != bool)",
        ): REFUSED,
        (
            "if isinstance(item, np.ndarray) and",
            "isinstance(item, np.ndarray) and item.dtype.kind in 'biu' and (item.ndim or item.dtype != bool)",
        ): REFUSED,
        (
            "if isinstance(item, np.ndarray) and",
            "isinstance(item, np.ndarray) and item.dtype.kind in 'biu' and (item.dtype != np.uint8)",
        ): REFUSED,
    },
    "tensor.cat": {
        ("axis = require_axis(op, full[0], dim)", "-1"): SAME,
        ("return (as_given([None] * len(tensors))", "None"): NO_GRADIENTS,
        ("return (as_given([None] * len(tensors))", "zeroed(as_given([None] * len(tensors)))"): NO_GRADIENTS,
        ("return (as_given([None] * len(tensors))", "[None]"): NO_GRADIENTS,
        ("return (as_given([None] * len(tensors))", "zeroed(len(tensors))"): NO_GRADIENTS,
    },
    "tensor.stack": {
        ("ndim = tensors[0].ndim + 1", "-1"): SAME,
        ("axis = require_axis(op, np.empty", "0"): SHAPE,
    },
    "tensor.split": {
        ("return [size] * -(-n // size) if n", "-1"): NOTHING_TO_CUT,
        ("if not grads:", "if False:"): OF_NOTHING,
        ("return (np.zeros_like(x),)", "x"): OF_NOTHING,
    },
    "tensor.chunk": {("return _cut(op, x, _equal", "-1"): NOTHING_TO_CUT},
}
