"""From videos to simulated motion: whole-clip fit, then a body that follows it and the rays of the keypoints."""

from mjxhuman.reconstruction.combined import PolicyPlanMethod, RetriedPolicy
from mjxhuman.reconstruction.methods import METHODS, Method, register
from mjxhuman.reconstruction.reconstruct import reconstruct
from mjxhuman.reconstruction.result import Reconstruction, Stretch

__all__ = ["METHODS", "Method", "Reconstruction", "Stretch", "reconstruct", "register"]

register("policy", RetriedPolicy)
register("policy+plan", PolicyPlanMethod)
