"""Fast convolutions against XLA's own, differentiated by JAX."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from mnistry.engines import convolution  # noqa: E402

pytestmark = pytest.mark.slow


def xla_convolution(images, kernel, strides, padding):
    return jax.lax.conv_general_dilated(
        images, kernel, strides, padding.upper(), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def random_arrays(height, width, channels, filters, kernel=(3, 3), dtype=np.float32):
    rng = np.random.default_rng(height * 100 + width)
    images = rng.standard_normal((3, height, width, channels)).astype(dtype)
    return images, rng.standard_normal((*kernel, channels, filters)).astype(dtype)


# Compiled as one, without optimization: faster than one operation after the other.
COMPILING = {"xla_backend_optimization_level": "0"}


@partial(jax.jit, static_argnums=(2, 3), compiler_options=COMPILING)
def ours_and_xlas(images, kernel, strides, padding):
    """Of both: the result, and the gradients of images and kernel of a weighting of it."""

    def with_gradients(convolve):
        result, pull_back = jax.vjp(lambda x, k: convolve(x, k, strides, padding), images, kernel)
        weights = jax.numpy.cos(jax.numpy.arange(result.size)).reshape(result.shape).astype(result.dtype)
        return result, *pull_back(weights)

    return with_gradients(convolution.conv2d), with_gradients(xla_convolution)


def assert_as_xla(images, kernel, strides, padding, rtol=1e-4):
    names = ("result", "d_images", "d_kernel")
    for name, ours, xlas in zip(names, *ours_and_xlas(images, kernel, strides, padding), strict=True):
        assert (ours.shape, ours.dtype) == (xlas.shape, xlas.dtype)
        atol = rtol * float(abs(xlas).max(initial=0))
        np.testing.assert_allclose(ours, xlas, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (7, 7), (14, 14)])
@pytest.mark.parametrize("channels", [4, 17])
def test_results_and_gradients_are_those_of_xla_with_stride_1(size, channels, padding):
    assert_as_xla(*random_arrays(*size, channels, 6), (1, 1), padding)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (8, 13)])
@pytest.mark.parametrize("strides", [(2, 2), (1, 2), (4, 3)])
def test_results_and_gradients_are_those_of_xla_with_strides(size, strides, padding):
    assert_as_xla(*random_arrays(*size, 16, 6), strides, padding)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_results_and_gradients_are_those_of_xla_for_other_kernels(kernel, strides, padding):
    assert_as_xla(*random_arrays(9, 10, 16, 4, kernel), strides, padding)


@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_images_smaller_than_the_kernel_are_padded_as_by_xla(size, strides):
    assert_as_xla(*random_arrays(*size, 16, 4), strides, "same")


def test_gradients_are_taken_in_the_precision_of_the_images():
    arrays = random_arrays(8, 8, 16, 4, dtype=jax.numpy.bfloat16)
    for strides in ((1, 1), (2, 2)):
        assert_as_xla(*arrays, strides, "same", rtol=0.04)


@pytest.mark.parametrize(
    ("channels", "strides", "kernel", "chosen"),
    [
        (16, (1, 1), (3, 3), True),
        (15, (1, 1), (3, 3), False),
        (16, (2, 2), (3, 3), False),
        (16, (1, 1), (5, 5), False),
    ],
)
def test_winograds_form_is_taken_where_it_saves_products(channels, strides, kernel, chosen, monkeypatch):
    ours_and_xlas.clear_cache()
    calls = []
    usual = convolution._d_kernel_by_winograd
    monkeypatch.setattr(
        convolution, "_d_kernel_by_winograd", lambda *given: calls.append(given) or usual(*given)
    )
    assert_as_xla(*random_arrays(6, 6, channels, 4, kernel), strides, "same")
    assert bool(calls) == chosen
