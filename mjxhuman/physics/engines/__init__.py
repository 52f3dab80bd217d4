"""What steps the physics, one class per engine; used through ``mjxhuman.physics.simulate`` alone."""
