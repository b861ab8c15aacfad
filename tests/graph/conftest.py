from tests.engine.conftest import batch, small_model

__all__ = ["batch", "small_model"]
