"""How JAX is set up by everything that trains or simulates from the command line."""

from __future__ import annotations

import os

import jax

from mjxhuman.runs.compile_cache import enable_compile_cache


def prepare_jax(cpu_devices: int = 0) -> None:
    """Set JAX up before its first computation; called by launchers, never at import.

    The compilation cache is switched on. On a CPU, programs run in the caller's thread: with asynchronous dispatch a
    physics engine that is called back from a program can wait for the thread that waits for it.

    Args:
        cpu_devices: how many devices the CPU is divided into; 0 leaves it as it is.

    Raises:
        RuntimeError: JAX's CPU backend already runs with another number of devices.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if cpu_devices:
        flag = "--xla_force_host_platform_device_count"
        others = [f for f in os.environ.get("XLA_FLAGS", "").split() if not f.startswith(flag)]
        os.environ["XLA_FLAGS"] = " ".join([*others, f"{flag}={cpu_devices}"])
        if (found := jax.local_device_count("cpu")) != cpu_devices:
            raise RuntimeError(f"prepare_jax: expected {cpu_devices} CPU devices, JAX already runs with {found}")
    enable_compile_cache()
