"""From videos to simulated motion: whole-clip fit, then a body that follows it and the rays of the keypoints."""

from mjxhuman.reconstruction.handover import PolicyPlanMethod
from mjxhuman.reconstruction.methods import METHODS, Method, register
from mjxhuman.reconstruction.reconstruct import reconstruct
from mjxhuman.reconstruction.result import Reconstruction, Stretch
from mjxhuman.reconstruction.vision import PolicyMethod

__all__ = ["METHODS", "Method", "Reconstruction", "Stretch", "reconstruct", "register"]

register("policy", PolicyMethod)
register("policy+plan", PolicyPlanMethod)
