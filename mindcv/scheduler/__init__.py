"""Learning-rate schedules, as lists with one learning rate per step."""

from mindcv.scheduler.factory import create_scheduler

__all__ = ["create_scheduler"]
