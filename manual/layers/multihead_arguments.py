"""The arrays that attention by several heads takes, and the checks that they go together."""

from typing import Any

from manual.contract import Array, holds_truths, require_floats, require_mask, require_shape

INPUTS = ("query", "key", "value")
SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
ARGUMENTS = (
    *INPUTS,
    *("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_weight", "out_proj_bias"),
    *("key_padding_mask", "attn_mask", *SEPARATE, "static_k", "static_v"),
)
REQUIRED = {*INPUTS, "out_proj_weight"}


def require_kinds(op: str, given: dict[str, Any]) -> None:
    """Refuse arrays of other kinds; masks may also hold True and False."""
    of_truths = [name for name in ("key_padding_mask", "attn_mask") if holds_truths(given[name])]
    for name in of_truths:
        require_mask(op, name, given[name], given[name].shape)
    names = [name if name in REQUIRED else f"{name}?" for name in ARGUMENTS]
    require_floats(op, " ".join(names), *(None if name in of_truths else given[name] for name in ARGUMENTS))


def require_axes(op: str, query: Array, key: Array, value: Array) -> None:
    """Refuse what is neither a sequence nor a batch of them."""
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        got = f"{query.shape}, {key.shape} and {value.shape}"
        raise ValueError(f"{op}: query, key and value must all have three axes, or two without a batch, got {got}")


def require_shapes(op: str, given: dict[str, Any], shapes: list[tuple[int, ...]], num_heads: int, batched: bool) -> None:
    """Refuse arrays that do not go together; `shapes` are those of query, key and value as (N, length, width)."""
    (batch, length, width), (_, size, of_key), (_, _, of_value) = shapes
    missing = {name for name, array in given.items() if array is None}
    together, static = "in_proj_weight" not in missing, {"static_k", "static_v"} - missing
    has_masks = not {"attn_mask", "key_padding_mask"} <= missing
    got = ", ".join(f"{name} {given[name].shape}" for name in INPUTS)
    for fits, expected in (
        (shapes[0][0] == shapes[1][0] and shapes[1][:2] == shapes[2][:2], f"one batch, and key and value of one length, got {got}"),
        (width and width % num_heads == 0, f"num_heads that divide the width of query, {width}, got {num_heads}"),
        (not together or of_key == of_value == width, f"one width with in_proj_weight, got {got}"),
        (
            missing.issuperset(SEPARATE) if together else missing.isdisjoint(SEPARATE),
            "either in_proj_weight or all of q_proj_weight, k_proj_weight and v_proj_weight",
        ),
        (("bias_k" in missing) == ("bias_v" in missing), "bias_k and bias_v, or neither"),
        ("bias_k" in missing or not static, "bias_k and bias_v, or static_k and static_v, but not both"),
        (
            all(given[name].shape[1:2] == (size,) for name in static) or not has_masks,
            f"static_k and static_v as long as key, {size}, with masks",
        ),
    ):
        if not fits:
            raise ValueError(f"{op}: expected {expected}")
    out = given["out_proj_weight"].shape[:1]
    ends = {name: given[name].shape[1] if given[name].ndim == 3 else 0 for name in static}
    expected_shapes = {
        "in_proj_weight": (3 * width, width),
        "q_proj_weight": (width, width),
        "k_proj_weight": (width, of_key),
        "v_proj_weight": (width, of_value),
        "in_proj_bias": (3 * width,),
        "bias_k": (1, 1, width),
        "bias_v": (1, 1, width),
        "out_proj_weight": (*out, width),
        "out_proj_bias": out,
        "key_padding_mask": (batch, size) if batched else (size,),
        **{name: (batch * num_heads, end, width // num_heads) for name, end in ends.items()},
    }
    for name, shape in expected_shapes.items():
        require_shape(op, name, given[name], shape)
    if "attn_mask" not in missing:
        per_head = given["attn_mask"].ndim == 3
        require_shape(op, "attn_mask", given["attn_mask"], (batch * num_heads, length, size) if per_head else (length, size))
