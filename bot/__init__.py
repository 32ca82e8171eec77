"""Rootkeeper: Istio root certificates, watched and rotated from Slack.

The map, in the order in which a rotation flows through it; each module's first line says more.

cli, terminal           the command line           process     the life of the running bot
doctor                  what can be wrong          bootstrap   where the parts meet
settings, settings_text every setting              errors      the tree of errors

core                    DECIDES: values in, values out
  ids, names, findings, versions, kubernetes, wording, secrecy, der, pem, flags
                        words and encodings that all the others use
  intent                command text → what is wanted
  certificates          PEM and DER as the mesh's verifiers read them; the masked key
  verifiers             which leaf is accepted under which root
  mesh                  what was seen of a mesh: MeshSnapshot
  authority             which CA signs it, or why it must not be touched
  leaves                whether a certificate in use is accepted
  ownership, keeping    who else keeps the CA secret; which workload secrets Citadel keeps
  components, proxies   what reads the root when; what an Envoy has loaded
  elsewhere             parts of a control plane of which nobody can tell whose they are
  verification          every holder of a root, judged
  renewals              certificates in use that should have been replaced long ago
  issuing               the candidate root and the throw-away leaf
  checks                rules, their table, and the chains ROUTINE, PREFLIGHT, VERIFICATION
  plan, steps, planning what an approval is bound to, and how it is made
  progress, rotation    how far a step is; the record of a rotation and its moves
  standing, reports     what a rotation under way changes in it; what a look found, for every door
  approval              authorise(): who may decide what
  record, replies       what is written down and told; what one person is answered
  notices               which warning, line, reminder or alarm is due

flow                    ORDERS: the use cases, over the protocols in ports
  ports                 what the use cases need of the world
  reception, desk       what every door hands over to; what a worker does with it
  look, propose, decide, ending
                        check and verify; a plan; a decision; an end short of green
  advance, runners, custody
                        one move of a rotation; what each step does; is the CA secret still ours
  tell                  every change with what people and auditors hear of it
  remind, recover       the scheduled check; what is done at start and every half minute

edges                   ACT: no edge knows another
  slack                 listeners, directory, render, poster
  kube                  reader, writer, probe
  store                 the record, its outbox, audit and lease
  scheduler, health, metrics, logs, system

sandbox                 the stand-ins of Slack and of a cluster; knows nothing of the above but core
"""
