"""A stand-in of a Kubernetes cluster that runs an Istio mesh with Citadel.

In the order of a request: ``server`` (HTTP) and ``streams`` (exec, port-forward) → ``requests`` → ``api``
(RBAC, faults, audit) → ``registry`` (rules of writing) → ``store``. The mesh over it: ``world`` puts
processes (``citadel``, ``components`` with ``serving``, ``proxies``) into pods that ``deployments`` and
``kubelet`` run. ``scene`` says how it all begins.
"""

from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.rbac import Ban, Rule, rules_of
from bot.sandbox.cluster.running import RunningCluster, running_cluster
from bot.sandbox.cluster.scene import MutualTls, Scene, Stray
from bot.sandbox.cluster.serving import Flaw
from bot.sandbox.cluster.standin import ClusterStandIn

__all__ = [
    "Ban",
    "ClusterStandIn",
    "Effect",
    "Fault",
    "Flaw",
    "MutualTls",
    "Oddity",
    "Rule",
    "RunningCluster",
    "Scene",
    "Stray",
    "Trouble",
    "rules_of",
    "running_cluster",
]
