"""Fast convolutions against the back end's own, differentiated by the back end, on JAX or TensorFlow."""

from __future__ import annotations

from functools import partial

import ml_dtypes
import numpy as np
import pytest

from mnistry.backend import choose_backend

choose_backend(own_process=True)

import keras  # noqa: E402

from mnistry.engines import convolution  # noqa: E402

BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BACKEND not in ("jax", "tensorflow"), reason=f"nothing is exchanged on {BACKEND}"),
]


def random_arrays(height, width, channels, filters, kernel=(3, 3), dtype=np.float32):
    rng = np.random.default_rng(height * 100 + width)
    images = rng.standard_normal((3, height, width, channels)).astype(dtype)
    return images, rng.standard_normal((*kernel, channels, filters)).astype(dtype)


def native_convolution(images, kernel, strides, padding):
    return keras.ops.conv(images, kernel, strides, padding, "channels_last")


def with_gradients(convolve, images, kernel, strides, padding):
    """The result, and the gradients of images and kernel of a weighting of it; compiled as one."""
    if BACKEND == "jax":
        import jax

        # Without optimization: that is compiled faster than one operation after the other.
        @partial(jax.jit, compiler_options={"xla_backend_optimization_level": "0"})
        def differentiate(images, kernel):
            result, pull_back = jax.vjp(lambda x, k: convolve(x, k, strides, padding), images, kernel)
            weights = jax.numpy.cos(jax.numpy.arange(result.size)).reshape(result.shape)
            return result, *pull_back(weights.astype(result.dtype))

        return [np.asarray(value) for value in differentiate(images, kernel)]
    import tensorflow as tf

    @tf.function
    def differentiate(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            result = convolve(images, kernel, strides, padding)
        weights = tf.reshape(tf.cos(tf.range(tf.size(result), dtype=tf.float32)), tf.shape(result))
        return result, *tape.gradient(result, (images, kernel), tf.cast(weights, result.dtype))

    return [value.numpy() for value in differentiate(tf.constant(images), tf.constant(kernel))]


def assert_as_native(images, kernel, strides, padding, rtol=1e-4):
    ours = with_gradients(convolution.conv2d, images, kernel, strides, padding)
    natives = with_gradients(native_convolution, images, kernel, strides, padding)
    for name, our, native in zip(("result", "d_images", "d_kernel"), ours, natives, strict=True):
        assert (our.shape, our.dtype) == (native.shape, native.dtype)
        our, native = our.astype(np.float64), native.astype(np.float64)
        atol = rtol * float(abs(native).max(initial=0))
        np.testing.assert_allclose(our, native, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (7, 7), (14, 14)])
@pytest.mark.parametrize("channels", [4, 17])
def test_results_and_gradients_are_those_of_the_back_end_with_stride_1(size, channels, padding):
    assert_as_native(*random_arrays(*size, channels, 6), (1, 1), padding)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (8, 13)])
@pytest.mark.parametrize("strides", [(2, 2), (1, 2), (4, 3)])
def test_results_and_gradients_are_those_of_the_back_end_with_strides(size, strides, padding):
    assert_as_native(*random_arrays(*size, 16, 6), strides, padding)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_results_and_gradients_are_those_of_the_back_end_for_other_kernels(kernel, strides, padding):
    assert_as_native(*random_arrays(9, 10, 16, 4, kernel), strides, padding)


@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_images_smaller_than_the_kernel_are_padded_as_by_the_back_end(size, strides):
    assert_as_native(*random_arrays(*size, 16, 4), strides, "same")


def test_gradients_are_taken_in_the_precision_of_the_images():
    arrays = random_arrays(8, 8, 16, 4, dtype=ml_dtypes.bfloat16)
    for strides in ((1, 1), (2, 2)):
        assert_as_native(*arrays, strides, "same", rtol=0.04)


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
    calls = []
    usual = convolution._d_kernel_by_winograd
    monkeypatch.setattr(
        convolution, "_d_kernel_by_winograd", lambda *given: calls.append(given) or usual(*given)
    )
    assert_as_native(*random_arrays(6, 6, channels, 4, kernel), strides, "same")
    assert bool(calls) == chosen


@pytest.mark.skipif(BACKEND != "tensorflow", reason="on JAX it is always known")
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_the_number_of_images_may_be_unknown_while_compiling(strides):
    import tensorflow as tf

    images, kernel = map(tf.constant, random_arrays(8, 8, 16, 4))

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 16)), tf.TensorSpec(kernel.shape)])
    def differentiate(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            result = convolution.conv2d(images, kernel, strides, "same")
            pooled = convolution.pool2d(result, (2, 2), keras.ops.max)
        return result, *tape.gradient(pooled, (images, kernel))

    result, d_images, d_kernel = differentiate(images, kernel)
    np.testing.assert_allclose(result, native_convolution(images, kernel, strides, "same"), atol=1e-4)
    assert (d_images.shape, d_kernel.shape) == (images.shape, kernel.shape)
