"""The published PhyMotion reward, bug for bug."""
