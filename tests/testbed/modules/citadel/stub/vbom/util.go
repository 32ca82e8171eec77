// Package util stands in for vbom.ml/util, which no longer exists: it is in the module graph, never compiled.
package util
