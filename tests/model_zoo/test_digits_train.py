"""The script that trained the committed digits model: its split, its gradients, the model it
gives.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from model_zoo.digits import train

pytest.importorskip("sklearn")


def committed_parameters():
    model = onnx.load(str(train.MODEL))
    return {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}


def test_the_committed_held_out_images_are_the_splits_and_none_was_trained_on():
    train_images, _, images, labels = train.split()
    assert len(train_images) == 1347
    with np.load(train.HELD_OUT_FILE, allow_pickle=False) as held_out:
        np.testing.assert_array_equal(held_out["images"], images)
        np.testing.assert_array_equal(held_out["labels"], labels)
    seen = {image.tobytes() for image in train_images}
    assert not any(image.tobytes() in seen for image in images)


def test_the_gradients_are_the_losss_slopes():
    rng = np.random.default_rng(1)
    # float64, so that a difference quotient has digits left to compare
    parameters = {name: value.astype(np.float64) for name, value in train.initial(rng).items()}
    x, labels = rng.random((4, 1, 8, 8), np.float32).astype(np.float64), rng.integers(0, 10, 4)

    def loss(changed):
        logits = train.logits_of(changed, x[:, 0] * train.PIXEL_MAX)
        odds = logits - logits.max(axis=1, keepdims=True)
        return -(odds[np.arange(4), labels] - np.log(np.exp(odds).sum(axis=1))).mean()

    grad = train.gradients(parameters, x, labels)
    for name, value in parameters.items():
        for place in zip(*np.unravel_index(rng.choice(value.size, 5), value.shape), strict=True):
            step = np.zeros_like(value)
            step[place] = 1e-6
            slope = (
                loss(parameters | {name: value + step}) - loss(parameters | {name: value - step})
            ) / 2e-6
            assert grad[name][place] == pytest.approx(slope, rel=1e-3, abs=1e-7), (name, place)


def test_a_runtime_computes_what_the_script_computes():
    import onnxruntime

    _, _, images, _ = train.split()
    session = onnxruntime.InferenceSession(str(train.MODEL), providers=["CPUExecutionProvider"])
    scaled = (images[:, None] / train.PIXEL_MAX).astype(np.float32)
    got = session.run(None, {"image": scaled})[0]
    np.testing.assert_allclose(
        got, train.logits_of(committed_parameters(), images), rtol=0, atol=1e-4
    )


@pytest.mark.slow
def test_training_again_gives_a_model_of_the_same_score():
    train_images, train_labels, images, labels = train.split()
    parameters = train.train(train_images, train_labels)
    again, before = (
        (train.logits_of(p, images).argmax(axis=1) == labels).mean()
        for p in (parameters, committed_parameters())
    )
    assert again == pytest.approx(before, abs=0.01)  # another BLAS rounds otherwise
