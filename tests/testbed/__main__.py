"""The test bed from the command line: `python -m tests.testbed up`, `python -m tests.testbed build`."""
# ruff: noqa: T201  (a command line tells its user what it does)

import argparse
import signal
import sys
import threading
from datetime import timedelta

from tests.testbed import build, processes
from tests.testbed.bed import TestBed
from tests.testbed.mesh import CitadelMesh


def main() -> int:
    """Run one command; 1 with a reason on stderr when it cannot."""
    arguments = _arguments()
    if arguments.command == "build":
        return build.main()
    try:
        _up(timedelta(days=arguments.root_days) if arguments.root_days else None)
    except (build.BuildError, processes.StartError) as error:
        print(f"cannot start the test bed: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the binaries (once; 20 minutes on 2 cores)")
    up = commands.add_parser("up", help="start a mesh run by Citadel, until Ctrl-C")
    up.add_argument("--root-days", type=float, help="how long the root is valid (default: ten years)")
    return parser.parse_args()


def _up(root_lifetime: timedelta | None) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with TestBed() as bed, CitadelMesh(bed, root_lifetime=root_lifetime) as mesh:
        seconds = bed.start_seconds + mesh.start_seconds
        print(f"ready in {seconds:.0f} s: {len(mesh.workload_roots())} workload secrets\n")
        print(f"  export KUBECONFIG={bed.kubeconfig}")
        print(f"  export PATH={bed.binaries}:$PATH")
        print("  kubectl get pods --all-namespaces\n")
        print(f"  through the mesh: http://127.0.0.1:{mesh.client_port}/")
        print(f"  logs: {bed.logs}\n\nCtrl-C ends it.", flush=True)
        ended.wait()


if __name__ == "__main__":
    sys.exit(main())
