package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/plain"
	"github.com/sallyport/sallyport/web/apitype"
)

type auditCmd struct {
	Tail   auditTailCmd   `cmd:"" help:"Show the newest events."`
	Export auditExportCmd `cmd:"" help:"Write all events as JSON, one a line, newest first."`
}

type auditTailCmd struct {
	listing
	Lines   int    `short:"n" default:"20" placeholder:"N" help:"How many."`
	Follow  bool   `short:"f" help:"Go on with what comes. With --json: one object a line."`
	Type    string `placeholder:"T" help:"Only of this type: viewed, exported, decided, …"`
	Subject string `placeholder:"S" help:"Only about this session or device."`
}

func (c *auditTailCmd) Run(a *app) error {
	if c.Lines < 1 || c.Lines > 500 {
		return usageError("-n wants a number from 1 to 500", "`sallyport audit export` writes all of them.")
	}
	rows, err := c.read(a, 0, c.Lines)
	if err != nil {
		return err
	}
	if !c.Follow {
		return show(a, c.listing, rows, "No event matches.",
			"AT TYPE PHASE ACTOR SUBJECT LEAF", c.cells)
	}
	last := uint64(0)
	for {
		slices.Reverse(rows) // oldest first, as they come
		for _, e := range rows {
			last = max(last, e.Leaf)
			if err := c.line(a, e); err != nil {
				return err
			}
		}
		select {
		case <-a.context().Done():
			return nil
		case <-time.After(time.Second):
		}
		if rows, err = c.read(a, last, 500); err != nil {
			return err
		}
	}
}

func (c *auditTailCmd) read(a *app, after uint64, n int) ([]apitype.AuditEvent, error) {
	cl, err := a.client()
	if err != nil {
		return nil, err
	}
	q := url.Values{"size": {strconv.Itoa(n)}}
	if after > 0 {
		q.Set("after", strconv.FormatUint(after, 10))
	}
	for k, v := range map[string]string{"type": c.Type, "subject": c.Subject} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var rows []apitype.AuditEvent
	return rows, cl.Get(a.context(), "/api/v1/audit", q, &rows)
}

func (c *auditTailCmd) cells(e apitype.AuditEvent) []string {
	return []string{at(&e.At), e.Type, e.Phase, e.Actor, e.Subject, strconv.FormatUint(e.Leaf, 10)}
}

func (c *auditTailCmd) line(a *app, e apitype.AuditEvent) error {
	if c.JSON {
		return json.NewEncoder(plain.JSON(a.stdout)).Encode(e)
	}
	_, err := fmt.Fprintln(a.stdout, cell(strings.Join(c.cells(e), "  ")))
	return err
}

type logCmd struct {
	Checkpoint  logCheckpointCmd  `cmd:"" help:"Print the log's checkpoint. Keep it: with it you notice when the log is cut or rewritten."`
	Consistency logConsistencyCmd `cmd:"" help:"Check that the log still holds everything an earlier checkpoint covers."`
}

type logCheckpointCmd struct {
	JSON bool `name:"json" help:"Print JSON with the log's key, for programs."`
}

func (c *logCheckpointCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var h apitype.LogHead
	if err := cl.Get(a.context(), "/api/v1/log/checkpoint", nil, &h); err != nil {
		return err
	}
	if c.JSON {
		return a.json(h)
	}
	fmt.Fprint(a.stdout, safe(h.Checkpoint))
	fmt.Fprintln(a.stderr, "key: "+safe(h.Key))
	return nil
}

type logConsistencyCmd struct {
	Old    string `arg:"" help:"A file with an earlier checkpoint."`
	LogKey string `placeholder:"KEY" help:"The log's key, as you hold it. Default: as the gateway tells it."`
}

func (c *logConsistencyCmd) Run(a *app) error {
	old, err := os.ReadFile(c.Old)
	if err != nil {
		return usageError("the checkpoint cannot be read: "+err.Error(), "")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	for range 5 { // the log may grow between the two questions
		now, proof, err := c.ask(a, cl, old)
		if err != nil {
			return err
		}
		if proof.To != 0 && proof.To != uint64(now.size) {
			continue
		}
		was, err := readCheckpoint(old, c.LogKey)
		if err == nil {
			err = consistent(was, now, proof)
		}
		if err != nil {
			return errkind.New(errkind.Conflict, "the log does not hold what your checkpoint covers: "+err.Error()).WithHint("Keep your checkpoint and tell the compliance officer.")
		}
		_, err = fmt.Fprintf(a.stdout, "The log holds everything of your checkpoint: %d leaves then, %d now.\n", was.size, now.size)
		return err
	}
	return errkind.New(errkind.Unavailable, "the log grew while it was asked, five times").WithHint("Try again.")
}

// ask reads the log's head, and the proof that it extends the old one where there is something to prove.
func (c *logConsistencyCmd) ask(a *app, cl *client.Client, old []byte) (now checkpoint, p apitype.LogProof, err error) {
	var h apitype.LogHead
	if err := cl.Get(a.context(), "/api/v1/log/checkpoint", nil, &h); err != nil {
		return now, p, err
	}
	if c.LogKey == "" {
		c.LogKey = h.Key
	}
	was, now, err := twoCheckpoints(old, []byte(h.Checkpoint), c.LogKey)
	if err == nil && was.size > 0 && was.size < now.size {
		err = cl.Get(a.context(), "/api/v1/log/consistency", url.Values{"from": {strconv.FormatInt(was.size, 10)}}, &p)
	}
	return now, p, err
}
