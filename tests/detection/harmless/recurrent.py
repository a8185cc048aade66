"""Harmless faults of recurrent networks and packed sequences."""

from tests.detection.harmless.reasons import REFUSED, VIEW

LISTS = "the cases have arrays; the chapter's own tests have lists, tuples and unsigned integers too"
ALIKE = "all are alike in this"
WRITES = "writes into an argument, which tests/test_contract.py sees"

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
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
