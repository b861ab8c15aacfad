"""Learning-rate schedules: lists with one learning rate a step."""

from mindcv.scheduler.factory import create_scheduler

__all__ = ["create_scheduler"]
