//go:build tools

// Package tools names the command that is built from this module, so that the go command keeps its requirements.
package tools

import _ "istio.io/istio/security/cmd/istio_ca"
