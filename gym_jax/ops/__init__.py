"""Kernels on arrays, each beside its plain twin; which is used is `kernel`, a setting of the models."""

from gym_jax.ops.attention import attention, attention_fused, attention_plain, choose_attention
from gym_jax.ops.dense import matmul, matmul_plain
from gym_jax.ops.hoisted import choose_lstm, lstm_hoisted
from gym_jax.ops.kernel import KERNELS, Kernel, choose
from gym_jax.ops.lstm import lstm, lstm_cell, lstm_plain
from gym_jax.ops.product import Dtype, Product, make_product

__all__ = [
    "KERNELS",
    "Dtype",
    "Kernel",
    "Product",
    "attention",
    "attention_fused",
    "attention_plain",
    "choose",
    "choose_attention",
    "choose_lstm",
    "lstm",
    "lstm_cell",
    "lstm_hoisted",
    "lstm_plain",
    "make_product",
    "matmul",
    "matmul_plain",
]
