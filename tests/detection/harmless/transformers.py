"""Harmless faults of Transformers and language models."""

from tests.detection.harmless.reasons import LAYOUT, MODULE, REFUSED, SLOWER

HARMLESS: dict[str, dict[tuple[str, str], str]] = {
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
}
