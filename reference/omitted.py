"""What of torch.nn and torch.nn.functional is not covered, and of what stands in `manual.tensor`: names of classes, functions and
arguments, each with the reason.
"""

_REASONS = {
    "deprecated in torch": "Container",
    "deprecated in torch: `interpolate` with that mode": "upsample_bilinear upsample_nearest",
    "a NumPy module lives on one processor, in one process": "DataParallel SyncBatchNorm",
    "no operation changes its inputs; its namesake without the underscore is here": """
        celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ selu_ threshold_
    """,
    "its namesake with `return_indices=True`": """
        adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices
        fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices
    """,
    "channel_shuffle under another name": "native_channel_shuffle",
    "internal to torch": """
        assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary
        has_torch_function_variadic
    """,
    "a product of quantised or grouped matrices, for accelerators": "grouped_mm scaled_grouped_mm scaled_mm",
    "of integers alone, without a gradient: np.argsort of a permutation is its inverse": "invert_permutation",
}

_ARGUMENTS = {
    "deprecated in torch, which has `reduction` for it": "size_average reduce",
    "deprecated in torch, which has `min_val` and `max_val` for it": "Hardtanh.min_value Hardtanh.max_value",
    "no operation changes its inputs": "inplace",
    "an operation returns a new array": "out",
    "a NumPy array lies in one memory": "device",
    "it says where torch's warnings point": "_stacklevel",
    "torch ignores it": "gumbel_softmax.eps",
    "it chooses among torch's implementations of a step": "capturable foreach fused",
    "there is no fast path for it to choose": "enable_nested_tensor mask_check",
    "no gradient goes through a step": "differentiable",
    "the weights that are given tell it, and their shapes": """
        multi_head_attention_forward.use_separate_proj_weight multi_head_attention_forward.embed_dim_to_check
    """,
    "a backward may run any number of times": "LinearCrossEntropyOptions.allow_retain_graph",
    "a PackedSequence holds them": "batch_sizes",
    "the list `weights` holds them, after W_ih": "w_hh b_ih b_hh",
    "`maximum` and `minimum` take two arrays": "tensor.max.other tensor.min.other",
    "`correction` says it: 1 for True, 0 for False": "unbiased",
    "`index` holds them, among what else stands in brackets": "tensor.index.indices",
    "`einsum` finds it": "path",
    "the gradient of `gather` has the shape of x": "sparse_grad",
    "internal to torch": "implicit",
    "of accelerators alone": "out_dtype",
    "the dtype of the inputs is that of everything": """
        LinearCrossEntropyOptions.acc_policy LinearCrossEntropyOptions.acc_dtype
    """,
}

_OWN_NAMES = {
    "language models have it; torch composes it of operations, as `reference/twins.py` and the cases do": """
        DecoderBlock GeGLU GroupedQueryAttention LanguageModel SwiGLU geglu rotary_embedding swiglu
    """,
}

_OWN_ARGUMENTS = {
    "randomness comes from a `numpy.random.Generator`": "generator",
    "what was drawn can be given": "mask noise",
    "less memory, for more time": "tile",
    "torch has it in another form of the same function, or in its module": "batch_first",
    "torch has it in brackets": "index",
}

_DEFAULTS = {
    "torch's relu, and ours": "activation",
    "float64, where torch has a setting": "dtype",
    "the last axis, or none, where torch guesses one by the number of axes and warns": "dim",
    "torch takes `None` for it": "correction stable",
    "torch's modules have them, its functions none": "has_biases num_layers dropout train bidirectional batch_first",
}


def _by_name(reasons: dict[str, str]) -> dict[str, str]:
    return {name: reason for reason, names in reasons.items() for name in names.split()}


OMITTED = _by_name(_REASONS)
ARGUMENTS = _by_name(_ARGUMENTS)  # of torch, left out: of all that have it, or of one, as Hardtanh.min_value
OWN_NAMES = _by_name(_OWN_NAMES)  # of operations and modules that torch does not have
OWN_ARGUMENTS = _by_name(_OWN_ARGUMENTS)  # that torch does not have
OTHER_DEFAULTS = _by_name(_DEFAULTS)  # of arguments that both have
