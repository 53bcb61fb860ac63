// Package audit writes events into the evidence. An event is a leaf of the log first, which nobody can take
// away unnoticed, and a searchable row after. It is not logging: losing a log line is a nuisance, and an act whose event
// cannot be written does not happen.
//
// # Before and after
//
// What only takes away, or was done by a machine already, is written once. What somebody is about to see or take along (a
// record, an export) is written before it is given, with the phase begun where its end may differ, so that pulling the plug in
// between leaves the event and not the look.
//
// # Who may be believed
//
// Actor, address and time are the gateway's claim: a taken gateway can write what did not happen, never unwrite what did. What
// widens rights is therefore not an event of this package but the signer's own leaf. Failures that need no authority to cause are
// not written one by one, or a stranger could grow the log at will.
package audit

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Phases of an act.
const (
	Begun  = "begun"
	Done   = "done"
	Failed = "failed"
)

// Leaf types of sign-ins; the others stand where they are used, and the signer refuses one that the log does not know.
const (
	SignedIn  = "signed-in"
	SignedOut = "signed-out"
)

// Event is one thing that somebody did or was refused.
type Event struct {
	Type    string // a leaf type of the log: viewed, exported, decided, …
	Phase   string // empty: done
	Actor   string // who, as issuer and subject; empty: the gateway itself
	Subject string // what it was about: a session id, a device's name
	Addr    string
	Fields  map[string]string
}

// Appender is the part of the signer that takes leaves and gives them back.
type Appender interface {
	Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error)
	Entry(ctx context.Context, index uint64) (signer.Entry, error)
}

// Rows keeps the searchable copy.
type Rows interface {
	AddAudit(ctx context.Context, e store.AuditEvent) (int64, error)
}

// Log writes events.
type Log struct {
	Signer Appender
	Rows   Rows
	Now    func() time.Time
}

// Record writes one event, or says why the act it stands for must not go on.
func (l *Log) Record(ctx context.Context, e Event) error {
	_, err := l.Append(ctx, e)
	return err
}

// Append is Record that also gives the leaf's index.
func (l *Log) Append(ctx context.Context, e Event) (uint64, error) {
	row, err := l.leaf(ctx, e)
	if err != nil {
		return 0, err
	}
	if _, err := l.Rows.AddAudit(ctx, row); err != nil {
		return 0, fmt.Errorf("audit %s: %w", e.Type, err)
	}
	return row.Leaf, nil
}

// Together appends the leaf of an event and then calls write with its searchable row. write stores it in one
// transaction with the rows that the event is about, so that no reader sees one without the other. Without the leaf
// nothing is written.
func (l *Log) Together(ctx context.Context, e Event, write func(event ...store.AuditEvent) error) error {
	row, err := l.leaf(ctx, e)
	if err != nil {
		return err
	}
	return write(row)
}

// Regardless is Together for changes that must be stored even if the log does not answer: a change that revokes rights,
// or the record of a decision. Then write is called without an event, and the error of the log is returned with its
// own.
func (l *Log) Regardless(ctx context.Context, e Event, write func(event ...store.AuditEvent) error) (logged,
	written error) {
	row, err := l.leaf(ctx, e)
	if err != nil {
		return err, write()
	}
	return nil, write(row)
}

// leaf appends the leaf of an event and gives its searchable row.
func (l *Log) leaf(ctx context.Context, e Event) (store.AuditEvent, error) {
	now := l.now()
	if e.Phase == "" {
		e.Phase = Done
	}
	fields := maps.Clone(e.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	fields["phase"] = e.Phase
	if e.Subject != "" {
		fields["subject"] = e.Subject
	}
	if e.Addr != "" {
		fields["address"] = e.Addr
	}
	body, err := ledger.EventBody{By: e.Actor, AtMS: now.UnixMilli(), Fields: fields}.Marshal()
	if err != nil {
		return store.AuditEvent{}, fmt.Errorf("audit %s: %w", e.Type, err)
	}
	out, err := l.Signer.Append(ctx, signer.AppendRequest{Type: e.Type, Body: body})
	if errkind.KindOf(err) == errkind.Unavailable {
		return store.AuditEvent{}, err // the error itself names the cause: the signer, or space
	}
	if err != nil {
		return store.AuditEvent{}, errkind.New(errkind.Unavailable,
			"this could not be written to the log, so it was not done").
			WithHint("Try again; if it stays so, whoever runs the gateway looks at the disk and the signer.").Because(err)
	}
	return store.AuditEvent{At: now, Type: e.Type, Phase: e.Phase, Actor: e.Actor, Subject: e.Subject, Addr: e.Addr,
		Leaf: out.Index, Body: body}, nil
}

// Row gives the searchable row of a leaf that the signer wrote itself. The caller stores it with the rows it is about.
func (l *Log) Row(ctx context.Context, leaf uint64, typ, actor, subject string) (store.AuditEvent, error) {
	e, err := l.Signer.Entry(ctx, leaf)
	if err != nil {
		return store.AuditEvent{}, fmt.Errorf("audit %s: %w", typ, err)
	}
	return store.AuditEvent{At: l.now(), Type: typ, Phase: Done, Actor: actor, Subject: subject, Leaf: leaf,
		Body: e.Body}, nil
}

// Index keeps the searchable copy of a leaf that the signer wrote itself, with the act that it stands for.
func (l *Log) Index(ctx context.Context, leaf uint64, typ, actor, subject string) error {
	row, err := l.Row(ctx, leaf, typ, actor, subject)
	if err != nil {
		return err
	}
	if _, err := l.Rows.AddAudit(ctx, row); err != nil {
		return fmt.Errorf("audit %s: %w", typ, err)
	}
	return nil
}

func (l *Log) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}
