"""Using a trained model: predictions on images, and files that run elsewhere (MindIR, ONNX)."""

from mindcv.deploy.inference import infer
from mindcv.deploy.labels import imagenet_names
from mindcv.deploy.prediction import Guess, predict

__all__ = ["Guess", "imagenet_names", "infer", "predict"]
