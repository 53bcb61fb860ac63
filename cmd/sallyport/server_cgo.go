//go:build cgo

package main

// serverCommands need the database, and with it cgo.
type serverCommands struct{}
