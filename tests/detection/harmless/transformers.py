"""Harmless faults of Transformers and language models."""

from tests.detection.harmless.reasons import ASKED, LAYOUT, MODULE, REFUSED, SLOWER

HINT = "a hint changes nothing where the mask says the same; the chapter's own tests see what layers are told"
INTEGERS = "tokens are integers, which have no gradient anyway"

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
    "TransformerEncoderLayer": {
        ("grad_normed, *grad_others = part_backward", "norm.learns()"): MODULE,
        ("grad_normed, *grad_others = part_backward", "need_x"): MODULE,
        ("grad_normed, *grad_others = part_backward", "zeroed(norm.learns())"): MODULE,
        ("grad_normed, *grad_others = part_backward", "norm"): ASKED,
        ("grad_x, = (None,) if grad_normed is None", "norm_backward(grad_normed, (need_x,))"): MODULE,
        ("return (grad_y + grad_x if need_x", "grad_y + grad_x"): MODULE,
        ("return (grad_sum + grad_x if needs[0]", "grad_sum + grad_x"): MODULE,
        ("need_keys = need_x if memory is None", "need_x"): MODULE,
        ("grad_keys = grad_k + grad_v if need_keys", "grad_k + grad_v"): MODULE,
        ("return (grad_x + grad_keys if need_x", "grad_x + grad_keys"): MODULE,
    },
    "TransformerEncoder": {
        ("if not isinstance(mask, np.ndarray) or", "not isinstance(mask, np.ndarray)"): HINT,
        ("return np.array_equal(mask, later if", "np.where(later, -math.inf, 0.0)"): HINT,
        ("for i in range(len(backwards) - 1", "1"): "the stacks of the cases have two layers; the chapter's own tests have three",
        ("grad, *grads = backwards[i](grad, (need_", "need_x"): MODULE,
        ("grad, *grads = backwards[i](grad, (need_", "i >= 0"): MODULE,
        ("grad, *grads = backwards[i](grad, (need_", "i <= 0"): MODULE,
        ("grad, *grads = backwards[i](grad, (need_", "-1"): MODULE,
        ("totals = [one if total is None", "total + one"): MODULE,
    },
    "TransformerDecoder": {
        ("return self._run(tgt, memory, *masks", "self._run(tgt, memory, *masks, tgt_is_causal=tgt_is_causal)"): HINT,
    },
    "Transformer": {
        ("self._require_sequences(", "pass"): REFUSED,
        ("for name, array in {'src': src", "pass"): REFUSED,
        ("axis = 0 if self.batch_first", "-1"): REFUSED,
        ("memory, encoder_backward = self.encoder(", "self.encoder(src, src_mask, src_key_padding_mask)"): HINT,
        ("output, decoder_backward = self.decoder(", "self.decoder(tgt, memory, *masks)"): HINT,
        ("need_memory = any(of_encoder) or", "self.encoder.learns()"): MODULE,
        ("need_memory = any(of_encoder) or", "any(of_encoder)"): MODULE,
        ("need_memory = any(of_encoder) or", "zeroed(any(of_encoder))"): MODULE,
        ("need_memory = any(of_encoder) or", "zeroed(self.encoder.learns())"): MODULE,
        ("need_memory = any(of_encoder) or", "self.encoder"): ASKED,
        ("found = encoder_backward(grad_memory", "encoder_backward(grad_memory, of_encoder)"): MODULE,
    },
    "GroupedQueryAttention": {("return (from_q + from_k + from_v if", "from_q + from_k + from_v"): MODULE},
    "LanguageModel": {
        ("if getattr(input, 'ndim', None) != 2:", "if True:"): SLOWER,
        ("if getattr(input, 'ndim', None) != 2:", "if False:"): "one text would be cut in time, if it were long enough",
        ("return by_batch(", "input.size"): SLOWER,
        ("return by_batch(", "self.embedding.embedding_dim"): SLOWER,
        ("needs = needed('LanguageModel'", "zeroed(needed('LanguageModel', needs, 1))"): INTEGERS,
        ("return embedding_backward(grad, needs)", "zeroed(embedding_backward(grad, needs))"): INTEGERS,
    },
}
