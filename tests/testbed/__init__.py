"""A real mesh on one machine, without containers: API server, Citadel, Envoys.

build.py      fetches and builds the binaries, once, verified by the go.sum files under modules/
processes.py  starts a process that cannot outlive the tests, and waits with a deadline
keys.py       key material, new at each start
audit.py      who did what, from the API server's audit log
api.py        the few Kubernetes API calls that the test bed itself makes
bed.py        TestBed: etcd, API server, controller manager, kwok (kwok.yaml)
objects.py    what a helm-installed Istio 1.5 with Citadel looks like, as objects
envoys.py     the configuration of a real Envoy that gets its certificates from mounted secrets
mounts.py     the kubelet's part for mounted secrets
node.py       the kubelet's part for pods that stand for real processes
stand_ins.py  what runs for such a pod: Citadel, an Envoy, the owner of a webhook
traffic.py    a backend, and a client that never stops asking
mesh.py       CitadelMesh: all of it together
__main__.py   `python -m tests.testbed build` and `up`
"""
