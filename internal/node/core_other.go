//go:build !linux

package node

// noCoreDumps does nothing here: gateways are meant for Linux, and the others are for developing.
func noCoreDumps(bool) error { return nil }
