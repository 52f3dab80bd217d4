"""Fixtures shared by all tests. The environment is set before JAX and MuJoCo are imported."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mjxhuman.humanoids import Humanoid

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for films.py and synthetic_sources.py beside this file

# Compiled programs are kept between runs and shared by the test processes.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if ctypes.util.find_library("EGL"):  # without the library, MUJOCO_GL=egl breaks the import of mujoco
    os.environ.setdefault("MUJOCO_GL", "egl")

#: Memory mappings of a test process from which compiled programs are let go.
_MAPPINGS = 20_000

import shapes  # noqa: E402

shapes.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests by the fixtures they use, so that `-m "not shared"` needs no decorators; and those that extend the
    package, whose files are pages of the documentation as they are."""
    for item in items:
        if item.path.parent.name == "extension":
            item.add_marker("compiled")
        for name in ("shared", "gl"):
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Compiled programs are let go after a module when their mappings near the limit of Linux (vm.max_map_count).

    Each program of XLA's takes several; a process of the whole suite would pass 65,530 of them, and crash.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MAPPINGS:
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Root of the shared motion files (its subfolder ``data`` holds them); the test is skipped where it is absent."""
    root = Path(os.environ.get("MJXHUMAN_SHARED") or ROOT.parent / "shared")
    if not (root / "data").is_dir():
        pytest.skip(f"no shared motion files: {root / 'data'} is not a folder (MJXHUMAN_SHARED names another root)")
    return root


@pytest.fixture
def x64() -> Iterator[None]:
    """The whole test in float64; float32 again afterwards."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def float64() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """``with float64(): ...`` for a part of a test or for fixtures of wider scope."""
    import jax

    return lambda: jax.enable_x64(True)


@pytest.fixture(scope="session")
def gl() -> None:
    """Skips the test where MuJoCo cannot make an offscreen OpenGL context."""
    import mujoco

    try:
        model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
        with mujoco.Renderer(model, 16, 16) as renderer:
            renderer.update_scene(mujoco.MjData(model))
            renderer.render()
    except Exception as error:  # every backend has its own exceptions
        pytest.skip(f"no offscreen OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL')}): {type(error).__name__}: {error}")


@pytest.fixture(scope="session")
def humanoid() -> Humanoid:
    """The default body: SMPL topology, ball joints."""
    from mjxhuman.humanoids import load_humanoid

    return load_humanoid("smpl")


@pytest.fixture(scope="session")
def make_tracker(tmp_path_factory) -> Callable[..., Path]:
    """``make_tracker(bias=0.0, **task)``: file of a tracker whose every action is ``bias``: 0 is the bare servo."""

    def make(bias: float = 0.0, **task) -> Path:
        import jax
        import jax.numpy as jnp

        from mjxhuman.envs.imitation import ImitationConfig
        from mjxhuman.humanoids import load_humanoid
        from mjxhuman.humanoids.actuated import actuated_humanoid
        from mjxhuman.learning.networks import Networks
        from mjxhuman.learning.normalization import new_statistics
        from mjxhuman.learning.policy import Policy, save_policy
        from mjxhuman.physics.simulate import make_simulator
        from mjxhuman.tracking.tracker import tracker_facts

        config = ImitationConfig(
            **{"action": "residual", "action_scale": 0.5, "groups": {"state": ("compact",)}, **task}
        )
        simulator = make_simulator(actuated_humanoid(load_humanoid("smpl")), "c")
        networks = Networks((256, 256), simulator.actuated.nu, (8,), (8,), "silu", -1.6, False)
        params = jax.tree.map(jnp.zeros_like, networks.init(jax.random.key(0)))
        params["actor"]["out"]["bias"] += bias
        path = tmp_path_factory.mktemp("tracker") / "policy.npz"
        save_policy(path, Policy(params, new_statistics((256,)), networks, 5.0), tracker_facts(simulator, config))
        return path

    return make


@pytest.fixture
def ray_cluster() -> Iterator[None]:
    """A Ray cluster of this machine that finds the tests' modules; skips where Ray is not installed."""
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(include_dashboard=False, log_to_driver=False, runtime_env=paths)
    yield
    ray.shutdown()
