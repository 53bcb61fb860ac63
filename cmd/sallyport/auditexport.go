package main

import (
	"encoding/json"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/internal/plain"
	"github.com/sallyport/sallyport/web/apitype"
)

type auditExportCmd struct {
	Output string        `short:"o" type:"path" placeholder:"FILE" help:"A new file. Default: the standard output."`
	Since  time.Duration `placeholder:"24h" help:"Only what happened since so long ago."`
	Type   string        `placeholder:"T" help:"Only of this type: viewed, exported, decided, …"`
}

// Run writes every event, one JSON object a line, newest first: a page at a time, however many there are.
func (c *auditExportCmd) Run(a *app) error {
	out := io.Writer(a.stdout)
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return usageError("the file cannot be made: "+err.Error(), "Name one that does not exist.")
		}
		defer f.Close()
		out = f
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := url.Values{"size": {"500"}}
	if c.Type != "" {
		q.Set("type", c.Type)
	}
	if c.Since > 0 {
		q.Set("from", time.Now().Add(-c.Since).UTC().Format(time.RFC3339))
	}
	lines := json.NewEncoder(plain.JSON(out))
	for {
		var rows []apitype.AuditEvent
		if err := cl.Get(a.context(), "/api/v1/audit", q, &rows); err != nil {
			return err
		}
		for _, e := range rows {
			if err := lines.Encode(e); err != nil {
				return err
			}
		}
		if len(rows) < 500 || rows[len(rows)-1].Leaf == 0 {
			return nil
		}
		q.Set("before", strconv.FormatUint(rows[len(rows)-1].Leaf, 10))
	}
}
