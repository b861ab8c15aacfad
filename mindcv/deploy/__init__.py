"""Using a trained model: predictions on images, and files that run elsewhere (MindIR, ONNX)."""

from mindcv.deploy.exporting import ExportError, export, export_model
from mindcv.deploy.inference import infer
from mindcv.deploy.labels import imagenet_names
from mindcv.deploy.prediction import Prediction, predict

__all__ = ["ExportError", "Prediction", "export", "export_model", "imagenet_names", "infer", "predict"]
