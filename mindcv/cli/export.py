"""`export.py` and `mindcv export`: write a trained model as MindIR or ONNX."""

from pathlib import Path

from mindcv.cli.loading import load_model
from mindcv.config import Config, ConfigError
from mindcv.deploy.exporting import export_model, require_exportable, sidecar_of
from mindcv.deploy.preprocess import OPTIONS


def export(config: Config) -> Path:
    """Export the model of `config.ckpt_path` as `config.format`, with a JSON file that describes its use.

    An older exported model of that name is replaced. Prints the path.

    Returns:
        The model's path: `config.output`, or MODEL.FORMAT in the working directory. The JSON file is PATH.json.

    Raises:
        ConfigError: an option is missing or wrong.
        ValueError, OSError: the checkpoint is unusable, a package is missing, or a file cannot be written or
            exists and is something else.
        ExportError: the exported file's output differs from the model's; nothing was written.
    """
    path = Path(config.output or f"{config.model}.{config.format}")
    if path.suffix != f".{config.format}":
        raise ConfigError(f"output: got {str(path)!r}, wanted a file that ends in .{config.format}")
    require_exportable(path)  # before the model is built, which takes seconds
    model, class_names = load_model(config)
    path = export_model(
        model, path, config.dynamic_batch, config.fp16, config.with_preprocess, class_names,
        model_name=config.model, **{name: getattr(config, name) for name in OPTIONS},
    )  # fmt: skip
    print(f"{path}: verified; {sidecar_of(path).name} beside it describes how to use it", flush=True)
    return path
