"""One mesh through CoACD, in a process of its own: ``python -P coacd_worker.py MESH.npz PIECES.npz SECONDS``.

The system ends it (SIGXCPU) after so many seconds of processor time; Windows knows no such limit. CoACD is native code
that cannot be interrupted and takes its process with it when it fails. This file imports nothing of the package, so
that it starts at once.
"""

import json
import sys

import numpy as np


def main(given: str, made: str, seconds: str) -> None:
    """Arrays ``vertices``, ``faces`` and ``options`` (JSON) in; ``arr_0``, ...: the vertices of each piece, out."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    import coacd

    with np.load(given) as file:
        mesh = coacd.Mesh(file["vertices"], file["faces"].astype(np.int32))
        options = json.loads(str(file["options"]))
    coacd.set_log_level("off")
    np.savez(made, *[vertices for vertices, _ in coacd.run_coacd(mesh, **options)])


if __name__ == "__main__":
    main(*sys.argv[1:])
