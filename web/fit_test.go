package web

import (
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/web/api"
	"github.com/sallyport/sallyport/web/login"
	"github.com/sallyport/sallyport/web/records"
	"github.com/sallyport/sallyport/web/terminal"
)

// The real parts fit where the tests put small ones.
var (
	_ api.Broker       = (*gateway.Broker)(nil)
	_ api.Rules        = (*gateway.Rules)(nil)
	_ api.Tickets      = (*terminal.Tickets)(nil)
	_ api.Store        = (*sqlite.DB)(nil)
	_ api.Office       = (*enroll.Office)(nil)
	_ api.Records      = (*records.Records)(nil)
	_ api.Signer       = signer.Signer(nil)
	_ api.Auditor      = (*audit.Log)(nil)
	_ terminal.Channel = (*gateway.Channel)(nil)

	_ interface{ Register(login.Mux) } = (*login.Service)(nil)
)
