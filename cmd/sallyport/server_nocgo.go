//go:build !cgo || !linux

package main

// serverCommands are left out where there is no cgo: this is the client alone.
type serverCommands struct{}

func examine(*app, string) ([]finding, error) {
	return nil, usageError("this program is the client alone and knows no gateway's configuration", "Run doctor --config with the gateway's own program, on its machine.")
}
