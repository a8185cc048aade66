"""Harmless faults of attention."""

from tests.detection.harmless.reasons import PARTS, RANDOM, REFUSED, SLOWER, UNWANTED

MEMORY = "takes more memory, which the chapter's own tests measure"

HARMLESS = {
    "scaled_dot_product_attention": {
        ("tile = ", "tile"): REFUSED,
        ("tile = ", "require_integer(op, 'tile', tile)"): REFUSED,
        ("tile = ", "0"): REFUSED,
        ("dropping = ", "Dropping(dropout_p, mask, generator, shape, tile)"): SLOWER,
        (
            "dropping = ",
            "dropout_p == 0.0",
        ): "torch drops nothing without a probability, so that no case has such a mask; the chapter's tests do",
        ("dropping = ", "mask is None"): RANDOM,
        ("y, _, attend_backward = ", "attend(q_heads, k_heads, v_heads, scoring, dropping, scale=scale)"): MEMORY,
        ("if tile is None:", "if False:"): SLOWER,
        ("kept.append(e)", "pass"): SLOWER,
        ("grad_mask = ", "np.zeros_like(scoring.mask)"): UNWANTED,
        ("heads, rows, _ = strip[0]", "-1"): "the tiles of a strip have the same heads and rows",
        ("e = kept[number] if", "np.exp(scores(heads, rows, keys) - peak[heads, rows])"): SLOWER,
        ("e = kept[number] if", "kept[number - 1]"): PARTS,
        ("if need_scores:", "if True:"): UNWANTED,
        ("if len(strip) > 1:", "if True:"): SLOWER,
        ("if len(strip) > 1:", "len(strip) >= 1"): SLOWER,
        ("if weights is not None:", "if False:"): "what may not be changed is seen by tests/test_contract.py",
        ("kept = ", "np.stack([draw.random(size, np.float32) for draw in draws]) <= self.probability"): RANDOM,
        ("kept = ", "zeroed(np.stack([draw.random(size, np.float32) for draw in draws]))"): RANDOM,
        ("kept = ", "zeroed(draw.random(size, np.float32))"): RANDOM,
        ("if self.is_causal and", "self.is_causal"): SLOWER,
        ("if self.is_causal and", "keys.stop - 1 >= rows.start"): SLOWER,
        ("matrices = ", "self.matrix_of[heads]"): SLOWER,
        ("matrices = ", "len(self.mask) >= 1"): SLOWER,
    },
}
