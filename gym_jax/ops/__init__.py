"""Kernels on arrays, each beside its plain twin; which is used is `kernel`, a setting of the models."""

from gym_jax.ops.attention import attention, attention_plain
from gym_jax.ops.dense import matmul, matmul_plain
from gym_jax.ops.kernel import KERNELS, Kernel, Product, choose
from gym_jax.ops.lstm import lstm, lstm_cell, lstm_plain

__all__ = [
    "KERNELS",
    "Kernel",
    "Product",
    "attention",
    "attention_plain",
    "choose",
    "lstm",
    "lstm_cell",
    "lstm_plain",
    "matmul",
    "matmul_plain",
]
