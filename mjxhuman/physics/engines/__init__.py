"""What steps the physics: C MuJoCo on a CPU's threads. Used through ``mjxhuman.physics.simulate`` alone."""
