"""What of torch.nn is not covered, names of classes and arguments, each with the reason."""

_REASONS = {
    "deprecated in torch": "Container",
    "a NumPy module lives on one processor, in one process": "DataParallel SyncBatchNorm",
    "shapes are given at construction; a lazy parameter has no shape that a state dict could be checked against": """
        LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d
        LazyConvTranspose3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear UninitializedBuffer
        UninitializedParameter
    """,
    "chapter to come: convolution": """
        Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Fold Unfold
    """,
    "chapter to come: pooling": """
        AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool1d
        AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxPool1d MaxPool2d MaxPool3d
        MaxUnpool1d MaxUnpool2d MaxUnpool3d
    """,
    "chapter to come: padding": """
        CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d
        ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d
    """,
    "chapter to come: normalization": """
        BatchNorm1d BatchNorm2d BatchNorm3d CrossMapLRN2d GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm
        LocalResponseNorm RMSNorm
    """,
    "chapter to come: dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout",
    "chapter to come: embedding": "Embedding EmbeddingBag",
    "chapter to come: attention and transformers": """
        MultiheadAttention Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer
    """,
    "chapter to come: recurrent networks": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "chapter to come: rearranging and upsampling": """
        ChannelShuffle Flatten PixelShuffle PixelUnshuffle Unflatten Upsample UpsamplingBilinear2d UpsamplingNearest2d
    """,
    "chapter to come: distances": "CosineSimilarity PairwiseDistance",
    "chapter to come: containers of parameters": "ParameterDict ParameterList",
}

_ARGUMENTS = {
    "deprecated in torch, which has `reduction` for it": "size_average reduce",
    "deprecated in torch, which has `min_val` and `max_val` for it": "Hardtanh.min_value Hardtanh.max_value",
    "no operation changes its inputs": "inplace",
    "a NumPy array lies in one memory": "device",
    "it says where torch's warnings point": "_stacklevel",
    "torch ignores it": "gumbel_softmax.eps",
    "it chooses among torch's implementations of a step": "foreach fused",
    "no gradient goes through a step": "differentiable",
    "a backward may run any number of times": "LinearCrossEntropyOptions.allow_retain_graph",
    "the dtype of the inputs is that of everything": """
        LinearCrossEntropyOptions.acc_policy LinearCrossEntropyOptions.acc_dtype
    """,
}

_OWN_ARGUMENTS = {
    "randomness comes from a `numpy.random.Generator`": "generator",
    "what was drawn can be given": "noise",
}

_DEFAULTS = {
    "float64, where torch has a setting": "dtype",
    "the last axis, or none, where torch guesses one by the number of axes and warns": "dim",
}


def _by_name(reasons: dict[str, str]) -> dict[str, str]:
    return {name: reason for reason, names in reasons.items() for name in names.split()}


OMITTED = _by_name(_REASONS)
ARGUMENTS = _by_name(_ARGUMENTS)  # of torch, left out: of all that have it, or of one, as Hardtanh.min_value
OWN_ARGUMENTS = _by_name(_OWN_ARGUMENTS)  # that torch does not have
OTHER_DEFAULTS = _by_name(_DEFAULTS)  # of arguments that both have
