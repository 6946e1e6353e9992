"""A safely compiled program sums right, and is otherwise what `jax.jit` makes of it."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from tolerances import FLOAT32

from gym_jax.train import compile as module
from gym_jax.train.compile import COMPILES, OPTIONS, compiler_options, jit, quickest

CUBE, ROWS = (8, 32, 32), 32769


def draw(*shape):
    return np.random.default_rng(list(shape)).normal(size=shape).astype(np.float32)


def product_of_a_constant(x):
    """A product with a constant, summed with what it was made of."""
    constant = jnp.broadcast_to(jnp.float32(0.5), x.shape)
    return jnp.sum(jnp.einsum("bij,bjk->bik", x, constant) * x)


def squares(rows, matrix):
    return jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))(rows)


def scaled(scale, x):
    return jnp.sum(jnp.einsum("bji,bjk->bik", x, x * scale))


def each_square(rows, matrix):
    return ((rows @ matrix.T) ** 2).sum(1)


X, TABLE, MATRIX = draw(*CUBE), draw(ROWS, 3), draw(3, 3)
WIDE = [np.float64(part) for part in (X, TABLE, MATRIX)]
PATTERNS = {
    "a constant in a product": (
        product_of_a_constant,
        (X,),
        lambda x, *_: 0.5 * (x.sum(2, keepdims=True) * x).sum(),
    ),
    "squares of many short rows": (squares, (TABLE, MATRIX), lambda _, rows, matrix: each_square(rows, matrix)),
    "a gradient whose cotangent is one number": (
        jax.grad(scaled),
        (jnp.float32(1), X),
        lambda x, *_: np.einsum("bji,bjk->", x, x),
    ),
}
"""Programs that `jax.jit` of jax 0.10.2 got wrong on a CPU, with their arguments and what they are in float64."""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_sum_is_that_of_float64(pattern):
    """`jax.jit` alone may be right in another version."""
    function, args, truth = PATTERNS[pattern]
    expected, size = truth(*WIDE), np.abs(truth(*(np.abs(part) for part in WIDE))).max()
    np.testing.assert_allclose(jit(function)(*args), expected, rtol=0, atol=FLOAT32 * size)


@pytest.mark.parametrize("around", ["vmap", "scan", "jit"])
def test_a_sum_within_another_transformation_is_that_of_float64(around):
    """The options of the outermost `jit` count."""
    function, (x,), truth = PATTERNS["a constant in a product"]
    several, inner = jnp.stack([x, 2 * x]), jit(function)
    outer = {
        "vmap": lambda several: jax.vmap(inner)(several),
        "scan": lambda several: lax.scan(lambda _, x: (None, inner(x)), None, several)[1],
        "jit": lambda several: jnp.stack([jax.jit(inner)(x) for x in several]),
    }[around]
    once = truth(np.float64(x))
    atol = 4 * FLOAT32 * truth(np.abs(np.float64(x)))
    np.testing.assert_allclose(jit(outer)(several), [once, 4 * once], rtol=0, atol=atol)


@pytest.mark.parametrize("compile", COMPILES)
def test_within_any_transformation_it_is_the_function(compile):
    cubed = jit(lambda x: x**3, compile=compile)
    xs = jnp.array([1.0, 2, 3])
    for outer in (jax.jit, jax.vmap, jit, lambda f: lambda xs: lax.scan(lambda _, x: (None, f(x)), None, xs)[1]):
        np.testing.assert_array_equal(outer(cubed)(xs), [1, 8, 27])
    np.testing.assert_array_equal(jax.vmap(jax.grad(cubed))(xs), [3, 12, 27])
    np.testing.assert_array_equal(jit(jax.grad(lambda x: cubed(x).sum()))(xs), [3, 12, 27])
    np.testing.assert_array_equal(jax.jvp(cubed, (xs,), (xs,))[1], [3, 24, 81])
    assert jax.eval_shape(cubed, xs).shape == (3,)


@pytest.mark.parametrize("compile", COMPILES)
@pytest.mark.parametrize("outer", [jax.jit, jax.grad, jax.vmap, jit], ids=["jit", "grad", "vmap", "own"])
def test_within_a_transformation_constants_and_closures_are_taken_too(outer, compile):
    cubed = jit(lambda x: x**3, compile=compile)
    x = jnp.ones(2) if outer is jax.vmap else 1.0
    for constant in (2.0, np.float32(2), jnp.float32(2)):
        assert jnp.all(outer(lambda x, c=constant: x * cubed(c))(x) == 8)
    assert jnp.all(outer(lambda x: 8 * x * jit(lambda: x, compile=compile)())(x) == (16 if outer is jax.grad else 8))


@pytest.mark.parametrize("compile", COMPILES)
def test_what_the_function_refuses_is_refused(compile):
    def refuse(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        jit(refuse, compile=compile)(1.0)


@pytest.mark.parametrize("compile", COMPILES)
def test_keywords_reach_jax(compile):
    @functools.partial(jit, compile=compile, static_argnames="power", donate_argnums=0)
    def raised(x, *, power):
        """Say so."""
        assert isinstance(power, int)
        return x**power

    given = jnp.array([2.0, 3])
    np.testing.assert_array_equal(raised(given, power=3), [8, 27])
    assert given.is_deleted()
    assert (raised.__name__, raised.__doc__) == ("raised", "Say so.")


def test_it_compiles_once_for_every_shape_and_type():
    traces = []

    @jit
    def twice(x):
        traces.append(x.shape)
        return 2 * x

    for x in (jnp.ones(2), jnp.zeros(2), jnp.ones(3), jnp.ones(2)):
        np.testing.assert_array_equal(twice(x), 2 * x)
    assert traces == [(2,), (3,)]


def test_a_program_can_be_lowered_and_compiled_ahead():
    summed = jit(product_of_a_constant)
    program = summed.lower(jax.ShapeDtypeStruct(CUBE, jnp.float32)).compile()
    assert program(X) == summed(X)


@pytest.fixture
def forgotten():
    """What this process found out about its compiler is found out anew, now and afterwards."""
    compiler_options.cache_clear()
    quickest.cache_clear()
    yield
    compiler_options.cache_clear()
    quickest.cache_clear()


@pytest.mark.parametrize("compile", ["safe", "wide"])
def test_options_that_this_version_does_not_know_are_left_out(compile, forgotten, monkeypatch, capfd):
    monkeypatch.setitem(OPTIONS["cpu"], compile, {"xla_cpu_no_such_option": "1"})
    np.testing.assert_array_equal(jit(lambda x: x + 1, compile=compile)(jnp.ones(2)), [2, 2])
    assert compiler_options(compile) is None
    assert capfd.readouterr() == ("", "")
    assert quickest() == "fast" or compile == "safe"


@pytest.mark.parametrize("compile", COMPILES)
def test_a_tpu_has_no_options(compile, forgotten, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert compiler_options(compile) is None
    assert quickest() == "fast"


def test_a_gpu_is_safe_unless_asked_otherwise_and_then_computes_the_same_bits_in_every_process(forgotten, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler_options("safe") == OPTIONS["gpu"]["safe"]
    assert [compiler_options(compile) for compile in ("fast", "wide")] == [None, None]
    assert quickest() == "safe"


def test_fast_is_what_jax_makes():
    assert compiler_options("fast") is None


@pytest.mark.parametrize(("wide", "expected"), [(0.5, "wide"), (0.95, "fast"), (1.2, "fast")])
def test_the_widest_vectors_are_taken_where_they_are_clearly_faster(wide, expected, forgotten, monkeypatch):
    def tagged(function, *, compile):
        program = functools.partial(jax.jit(function))
        program.compile = compile
        return program

    times = {"fast": 1.0, "wide": wide}
    monkeypatch.setattr(module, "compiler_options", OPTIONS["cpu"].get)
    monkeypatch.setattr(module, "jit", tagged)
    monkeypatch.setattr(module, "_seconds", lambda program, *_: times[program.compile])
    assert quickest() == expected


def test_no_device_is_opened_before_the_first_call():
    code = (
        "import jax\nfrom gym_jax.train.compile import jit\nfrom jax._src import xla_bridge\n"
        "f = jit(lambda x: x + 1, donate_argnums=0)\nprint(xla_bridge.backends_are_initialized())\n"
        "f(1.0)\nprint(xla_bridge.backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
