//go:build cgo && linux

package main

// serverCommands need the database, and with it cgo.
type serverCommands struct {
	Serve       serveCmd       `cmd:"" help:"Run the gateway."`
	Demo        demoCmd        `cmd:"" help:"Run a gateway, three machines and one person of each role, on this computer only."`
	DemoGuard   demoGuardCmd   `cmd:"" hidden:""`
	DemoGateway demoGatewayCmd `cmd:"" hidden:""`
}
