"""Convolutions and norms that read the number of their channels off the first input.

Each becomes its namesake at the first call, or has its shapes from a state dict before that; `manual.lazy` is the mechanism.
"""

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import Array, Backward
from manual.layers.batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from manual.layers.convolution import Conv1d, Conv2d, Conv3d
from manual.layers.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from manual.lazy import LazyModule

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _LazyConv(LazyModule):
    axes: int

    def __init__(
        self,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.postpone(
            "in_channels",
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            dtype=dtype,
            generator=generator,
        )

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Become the convolution of `input` (N, in_channels, …), or (in_channels, …), and run it."""
        return self.begin(input, axis=-1 - self.axes)


class LazyConv1d(_LazyConv, Conv1d):
    """`Conv1d`, whose `in_channels` the first input tells."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """`Conv2d`, whose `in_channels` the first input tells."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """`Conv3d`, whose `in_channels` the first input tells."""

    cls_to_become = Conv3d


class _LazyConvTranspose(LazyModule):
    axes: int

    def __init__(
        self,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.postpone(
            "in_channels",
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            bias=bias,
            dilation=dilation,
            padding_mode=padding_mode,
            dtype=dtype,
            generator=generator,
        )

    def forward(self, input: Array, output_size: tuple[int, ...] | None = None) -> tuple[Array, Backward]:
        """Become the transposed convolution of `input` (N, in_channels, …), or (in_channels, …), and run it."""
        return self.begin(input, output_size, axis=-1 - self.axes)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """`ConvTranspose1d`, whose `in_channels` the first input tells."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """`ConvTranspose2d`, whose `in_channels` the first input tells."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """`ConvTranspose3d`, whose `in_channels` the first input tells."""

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModule):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.postpone(
            "num_features",
            eps=eps,
            momentum=momentum,
            affine=affine,
            track_running_stats=track_running_stats,
            bias=bias,
            dtype=dtype,
        )

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Become the norm of the channels of `input`, and run it."""
        return self.begin(input, axis=self.channels_of(input))

    def channels_of(self, input: Array) -> int:
        """The axis of the channels: (N, C, …)."""
        return 1


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d`, whose `num_features` the first input tells."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d`, whose `num_features` the first input tells."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d`, whose `num_features` the first input tells."""

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    cls_to_become: type[InstanceNorm1d | InstanceNorm2d | InstanceNorm3d]

    def channels_of(self, input: Array) -> int:
        """The axis of the channels: (N, C, …) or (C, …)."""
        return 1 if np.ndim(input) == self.cls_to_become._axes[-1] else 0


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d`, whose `num_features` the first input tells; with weight, bias and running statistics unless told."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d`, whose `num_features` the first input tells; with weight, bias and running statistics unless told."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d`, whose `num_features` the first input tells; with weight, bias and running statistics unless told."""

    cls_to_become = InstanceNorm3d
