//go:build cgo && linux

package main

// serverCommands need the database, and with it cgo.
type serverCommands struct {
	Serve       serveCmd       `cmd:"" help:"Run the gateway."`
	Signer      signerCmd      `cmd:"" help:"Run the signer as a process and user of its own."`
	Backup      backupCmd      `cmd:"" help:"Back up the gateway, or its signer."`
	Restore     restoreCmd     `cmd:"" help:"Put a backup, or the log, back in place."`
	Users       usersCmd       `cmd:"" help:"People of the built-in provider."`
	Demo        demoCmd        `cmd:"" help:"Run a gateway, three machines and one person of each role, on this computer only."`
	DemoGuard   demoGuardCmd   `cmd:"" hidden:""`
	DemoGateway demoGatewayCmd `cmd:"" hidden:""`
}
