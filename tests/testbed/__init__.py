"""A real mesh on one machine, without containers: API server, Citadel, Envoys.

build.py      fetches and builds the binaries, once, verified by the go.sum files beside it
processes.py  starts a process that cannot outlive the tests, and waits for what it says
api.py        the few Kubernetes API calls that the test bed itself makes
bed.py        TestBed: etcd, API server, controller manager, kwok
objects.py    what a helm-installed Istio 1.5 with Citadel looks like, as objects
envoys.py     the configuration of a real Envoy that gets its certificates from mounted secrets
node.py       the kubelet's part for pods that stand for real processes
mounts.py     the kubelet's part for mounted secrets
traffic.py    a backend, and a client that never stops asking
mesh.py       CitadelMesh: all of it together
"""
