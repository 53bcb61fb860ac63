package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerLog() {
	handle(a, huma.Operation{OperationID: "list-audit", Method: http.MethodGet, Path: "/api/v1/audit", Tags: []string{"evidence"},
		Summary: "Events, newest first", Description: "With the duty review or administer."}, a.listAudit)
	handle(a, huma.Operation{OperationID: "get-log-checkpoint", Method: http.MethodGet, Path: "/api/v1/log/checkpoint", Tags: []string{"evidence"},
		Summary: "The log as it stands", Description: "For everybody who is signed in: keep it, and the log cannot be rewritten without your noticing."}, a.getCheckpoint)
	handle(a, huma.Operation{OperationID: "get-log-consistency", Method: http.MethodGet, Path: "/api/v1/log/consistency", Tags: []string{"evidence"},
		Summary: "Proof that the log as it stands extends an earlier size"}, a.getConsistency)
}

type listAudit struct {
	Type    string    `query:"type" maxLength:"40"`
	Actor   string    `query:"actor" maxLength:"300"`
	Subject string    `query:"subject" maxLength:"200"`
	Text    string    `query:"text" maxLength:"200"`
	From    time.Time `query:"from"`
	To      time.Time `query:"to"`
	Before  uint64    `query:"before" doc:"leaf index: go on from there"`
	After   uint64    `query:"after" doc:"leaf index: only what came later"`
	Size    int       `query:"size" minimum:"1" maximum:"500" default:"50"`
}

func (a *API) listAudit(ctx context.Context, who *Asker, in *listAudit) (*answer[[]apitype.AuditEvent], error) {
	if !who.has(authz.DutyAdminister) {
		if err := who.needs(authz.DutyReview); err != nil {
			return nil, err
		}
	}
	rows, err := a.cfg.Store.AuditEvents(ctx, store.AuditFilter{Type: in.Type, Actor: in.Actor, Subject: in.Subject, Text: in.Text, From: in.From, To: in.To,
		Leaf: in.Before, Limit: in.Size})
	if err != nil {
		return nil, err
	}
	out := []apitype.AuditEvent{}
	for _, e := range rows {
		if in.After > 0 && e.Leaf <= in.After {
			break
		}
		out = append(out, shownEvent(e))
	}
	return body(out)
}

func shownEvent(e store.AuditEvent) apitype.AuditEvent {
	out := apitype.AuditEvent{At: e.At.UTC(), Type: e.Type, Phase: e.Phase, Actor: e.Actor, Subject: e.Subject, Address: e.Addr, Leaf: e.Leaf}
	if b, err := ledger.ParseEventBody(e.Body); err == nil {
		out.Fields = b.Fields
	}
	return out
}

func (a *API) getCheckpoint(ctx context.Context, _ *Asker, _ *struct{}) (*answer[apitype.LogHead], error) {
	head, keys, size, err := a.head(ctx)
	if err != nil {
		return nil, err
	}
	return body(apitype.LogHead{Key: keys, Checkpoint: string(head), Size: size})
}

// head gives the checkpoint, the log's key and the size the checkpoint's second line names.
func (a *API) head(ctx context.Context) (note []byte, key string, size uint64, err error) {
	keys, err := a.cfg.Signer.Keys(ctx)
	if err != nil {
		return nil, "", 0, err
	}
	if note, err = a.cfg.Signer.Head(ctx); err != nil {
		return nil, "", 0, err
	}
	lines := strings.SplitN(string(note), "\n", 3)
	if len(lines) == 3 {
		size, err = strconv.ParseUint(lines[1], 10, 64)
	}
	return note, keys.LogKey, size, err
}

func (a *API) getConsistency(ctx context.Context, _ *Asker, in *struct {
	From uint64 `query:"from" required:"true" minimum:"1" doc:"the earlier size"`
}) (*answer[apitype.LogProof], error) {
	_, _, size, err := a.head(ctx)
	if err != nil {
		return nil, err
	}
	if in.From > size {
		return nil, errkind.New(errkind.Conflict, "the log is smaller than the size you hold").
			WithHint("If your checkpoint is genuine, this log was cut or rewritten: keep it and tell the compliance officer.")
	}
	proof, err := a.cfg.Signer.ProveConsistency(ctx, in.From, size)
	if err != nil {
		return nil, err
	}
	out := apitype.LogProof{From: in.From, To: size, Proof: make([]string, len(proof))}
	for i, h := range proof {
		out.Proof[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return body(out)
}
