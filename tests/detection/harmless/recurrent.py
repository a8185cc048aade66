"""Harmless faults of recurrent networks and packed sequences."""

from tests.detection.harmless.reasons import ONLY, PARTS, RANDOM, REFUSED, SAME, SLOWER, UNWANTED, VIEW

LISTS = "the cases have arrays; the chapter's own tests have lists, tuples and unsigned integers too"
ALIKE = "all are alike in this"
FAR_OUT = "no case is so far out; the chapter's own tests are"
WRITES = "writes into an argument, which tests/test_contract.py sees"

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
    "RNN": {
        (
            "return self.call(",
            "self.call(op, input, Input(hx), weights, has_biases=self.bias, num_layers=self.num_layers, dropout=self.dropout, "
            "train=self.training, bidirectional=self.bidirectional, batch_first=self.batch_first)",
        ): RANDOM,
    },
    "lstm": {
        ("(y, new), layers_backward = ", "len(rows)"): PARTS,
        ("(y, new), layers_backward = ", "len(weights[0])"): PARTS,
        ("(y, new), layers_backward = ", "zeroed(len(rows))"): PARTS,
        ("(y, new), layers_backward = ", "zeroed(len(weights[0]))"): PARTS,
        ("(y, new), layers_backward = ", "-1"): PARTS,
        ("y = packed_in_order(", "x.batch_sizes"): VIEW,
        ("output = ", "-1"): ONLY,
        ("if not (need_x or", "if False:"): UNWANTED,
        ("return PackedSequence(", "order"): VIEW,
        ("if need_weights:", "if True:"): UNWANTED,
        ("return part if", "np.concatenate((part, whole[len(part):]))"): SLOWER,
        ("if not settings.train or", "not settings.train or (p == 0 and mask is None)"): SAME,
        ("if not settings.train or", "not settings.train or between == 0"): SAME,
        ("if not settings.train or", "mask is None"): RANDOM,
        ("if not settings.train or", "p == 0"): "no case has a mask and nothing dropped; the chapter's own tests do",
        ("masks = ", "map(batch.rows, mask)"): RANDOM,
        ("masks = ", "zeroed(kept((between, len(rows), width), p, None, settings.generator))"): RANDOM,
        ("masks = ", "zeroed(len(rows))"): RANDOM,
        ("groups = ", "require_integer(op, 'num_layers', num_layers)"): REFUSED,
        ("groups = ", "0"): REFUSED,
        ("counts = ", "[groups * each, groups * (each + 1)]"): REFUSED,
        ("counts = ", "len(names) >= 1"): REFUSED,
        ("widths = ", "-1"): ALIKE,
        ("for name, state, width in zip(", "pass"): REFUSED,
        ("for name, state, width in zip(", "zeroed(names_of_states(names))"): REFUSED,
        (
            "return (batch, numbers, ",
            "zeroed(tuple([np.zeros((groups, batch.count, width), numbers.dtype) for width in widths]))",
        ): "zeros they are already",
        ("return (Batch(", "batch_sizes"): SAME,
        ("return states[:, 0] if self.single", "-1"): ONLY,
    },
    "lstm_cell": {
        ("return a if", "np.minimum(a, limit)"): SLOWER,
        ("return a if", "a"): FAR_OUT,
        ("return a if", "limit"): FAR_OUT,
        ("return a if", "zeroed(np.minimum(a, limit))"): FAR_OUT,
        ("return a if", "largest(a) < limit"): SLOWER,
        ("for name, state in zip(", "pass"): REFUSED,
        ("for name, state in zip(", "zeroed(names_of_states(names))"): REFUSED,
        ("output = ", "-1"): ONLY,
        ("grads_new = ", "grad"): "one sample has an axis less, which NumPy adds",
        ("past[0] = ", "-1"): ONLY,
        ("return type(hx)(parts) if", "-1"): ONLY,
        ("return ['hx'] if", "['hx']"): REFUSED,
        ("return ['hx'] if", "[f'hx[{i}]' for i in range(len(names))]"): REFUSED,
        ("return ['hx'] if", "zeroed(range(len(names)))"): REFUSED,
        ("return ['hx'] if", "zeroed(len(names))"): REFUSED,
        ("expected += ", "pass"): REFUSED,
        ("expected += ", "[]"): REFUSED,
        ("for i, shape in enumerate(", "pass"): REFUSED,
    },
    "pack_padded_sequence": {
        ("lengths = _require_lengths", "0"): REFUSED,
        (
            "return np.argsort(",
            "np.argsort(-lengths)",
        ): "torch leaves open in which order equal lengths stand; the chapter's own tests do",
        ("if isinstance(lengths, (tuple, list)):", "if True:"): LISTS,
        ("if isinstance(lengths, (tuple, list)):", "if False:"): LISTS,
        ("lengths = np.array(", "zeroed(np.array([require_integer(op, 'lengths', each) for each in lengths], np.int64))"): LISTS,
        ("lengths = np.array(", "[require_integer(op, 'lengths', each) for each in lengths]"): LISTS,
        ("lengths = np.array(", "np.int64"): LISTS,
        ("lengths = np.array(", "zeroed(require_integer(op, 'lengths', each))"): LISTS,
        ("return lengths.astype(", "lengths"): LISTS,
    },
    "pad_packed_sequence": {("steps = ", "require_integer(op, 'total_length', total_length)"): REFUSED},
    "pack_sequence": {
        ("_require_sequences(", "pass"): REFUSED,
        ("_require_sequences(", "0"): REFUSED,
        ("first = ", "-1"): ALIKE,
        ("for n, each in enumerate(sequences):", "pass"): REFUSED,
    },
    "unpack_sequence": {("rows = ", "packed_sequences.data"): WRITES},
    "pad_sequence": {
        ("_require_sequences(", "pass"): REFUSED,
        ("_require_sequences(", "-1"): REFUSED,
        ("first, count = ", "-1"): ALIKE,
    },
    "unpad_sequence": {
        ("lengths = ", "-1"): REFUSED,
        ("output = ", "x[place]"): VIEW,
    },
}
