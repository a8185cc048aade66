"""Harmless faults of attention."""

from tests.detection.harmless.reasons import MEMORY, ONLY, PARTS, RANDOM, REFUSED, SAME, SLOWER, UNWANTED

UNLIKELY = "torch drops nothing without a probability, so that no case has such a mask; the chapter's own tests do"
BEHIND = "what a mask has behind the last key is not looked at"

HARMLESS = {
    "scaled_dot_product_attention": {
        ("tile = ", "tile"): REFUSED,
        ("tile = ", "require_integer(op, 'tile', tile)"): REFUSED,
        ("tile = ", "0"): REFUSED,
        ("dropping = ", "Dropping(dropout_p, mask, generator, shape, tile)"): SLOWER,
        (
            "dropping = ",
            "dropout_p == 0.0",
        ): UNLIKELY,
        ("dropping = ", "mask is None"): RANDOM,
        ("y, _, attend_backward = ", "attend(q_heads, k_heads, v_heads, scoring, dropping, scale=scale)"): MEMORY,
        ("if enable_gqa and array.shape", "enable_gqa"): SLOWER,
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
    "multi_head_attention_forward": {
        ("require_kinds(", "pass"): REFUSED,
        ("require_shapes(", "pass"): REFUSED,
        ("num_heads = ", "require_integer(op, 'num_heads', num_heads)"): REFUSED,
        ("num_heads = ", "0"): REFUSED,
        ("return None if array is None", "-1"): ONLY,
        ("w = w[0] if", "-1"): ONLY,
        ("total: Any = ", "-1"): ONLY,
        ("drops = ", "training"): SLOWER,
        ("drops = ", "dropout_p >= 0.0"): SLOWER,
        ("drops = ", "dropout_p > 0.0"): UNLIKELY,
        ("drops = ", "mask is not None"): RANDOM,
        ("drops = ", "dropout_p <= 0.0"): RANDOM,
        ("learnt = ", "not holds_truths(given[name])"): UNWANTED,
        ("learnt = ", "given[name] is not None"): UNWANTED,
        ("learnt = ", "zeroed(holds_truths(given[name]))"): UNWANTED,
        ("need_added = ", "added is not None"): UNWANTED,
        ("if total is not None and end", "total is not None"): SLOWER,
        ("if total is not None and end", "end >= size"): SLOWER,
        ("total = np.concatenate(", "end"): BEHIND,
        ("total = np.concatenate(", "size"): BEHIND,
        ("total = np.concatenate(", "end + size"): BEHIND,
        (
            "return [np.array(",
            "sum_to_shape(grad, of_scores)",
        ): "only masks of one shape share memory then; the chapter's own tests do",
        (
            "return [np.array(",
            "each is not None",
        ): "no case has a mask of numbers and one of truths, of which torch warns; the chapter's tests do",
        ("return np.where(mask, ", "zeroed(dtype.type(0))"): SAME,
    },
    "MultiheadAttention": {
        (
            "return self.call(",
            "self.call(multi_head_attention_forward, query, key, value, self.in_proj_weight, self.in_proj_bias, self.bias_k, "
            "self.bias_v, self.out_proj.weight, self.out_proj.bias, Input(key_padding_mask), Input(attn_mask), self.q_proj_weight, "
            "self.k_proj_weight, self.v_proj_weight, None, None, num_heads=self.num_heads, add_zero_attn=self.add_zero_attn, "
            "dropout_p=self.dropout, training=self.training, need_weights=need_weights, average_attn_weights=average_attn_weights, "
            "is_causal=is_causal, batch_first=self.batch_first)",
        ): RANDOM
    },
}
