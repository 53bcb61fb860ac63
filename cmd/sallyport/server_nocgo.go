//go:build !cgo || !linux

package main

// serverCommands are left out where there is no cgo: this is the client alone.
type serverCommands struct{}
