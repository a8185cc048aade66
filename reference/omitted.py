"""What is not covered of torch.nn, of torch.optim and of the operations in `manual.tensor`: names and arguments, with reasons.

Counted are torch.nn, its functional, init and utils, torch.optim, its lr_scheduler and swa_utils.
"""

_REASONS = {
    "deprecated in torch": "Container clip_grad_norm",
    "deprecated in torch; its namesake with the underscore is here": """
        constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal xavier_uniform
    """,
    "it folds a batch norm into the layer before, for inference alone": """
        fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights
    """,
    "a NumPy array may have any memory order": "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    "a module draws its initial values when it is built; torch leaves them out on a device without memory": "skip_init",
    "it lets torch's compiler trace a step": "swap_in_optimizer_params_and_state",
    "of the older form of torch.nn.utils.parametrizations; `remove_parametrizations` is here": """
        remove_spectral_norm remove_weight_norm
    """,
    "an orthogonal matrix as the exponential of another, or as a product of reflections, is yet to be derived": "orthogonal",
    "a parameter is computed whenever it is used; in torch, too, unless told otherwise": "cached",
    "it hands parametrizations, which torch cannot copy, on to another module; here `copy.deepcopy` copies the module": """
        transfer_parametrizations_and_params type_before_parametrizations
    """,
    "pruning is a mask that a `register_parametrization` can apply": """
        BasePruningMethod CustomFromMask L1Unstructured LnStructured PruningContainer RandomStructured RandomUnstructured
        custom_from_mask global_unstructured identity is_pruned l1_unstructured ln_structured random_structured
        random_unstructured remove
    """,
    "`load_state_dict` puts other parameters into a module": "functional_call",
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
    "a parametrization keeps shape and dtype": "unsafe",
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
    "what torch's parametrizations compute": "spectral_normalize weight_normalize",
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
