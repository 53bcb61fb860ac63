// Package enroll is the office where devices become known: it makes join codes, redeems them, admits, relabels and
// revokes.
//
// # From code to session
//
// A join code carries one-time proof of an invitation and the pins for the first contact. Redeeming it makes a
// device known and no more: it is *waiting*, its line is up, nothing can be opened. An administrator who has compared the
// key's fingerprint admits it, and only that reaches the signer, with the administrator's own evidence. So a stolen code
// gives its thief a row in a list that somebody looks at.
//
// # What is written where
//
// The database row says what the gateway shows; the signer's copy decides. Admitting and labelling go to the signer first and to the
// row after. Revoking goes to both and to the line, whichever of them fails: what takes away must not wait for what is broken.
// An admission that finds its device revoked or disputed meanwhile is refused, and taken back at the signer.
package enroll

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Store is what the office keeps rows in.
type Store interface {
	AddBundle(ctx context.Context, b store.Bundle) error
	BundleByHash(ctx context.Context, hash [32]byte) (store.Bundle, error)
	AddJoinToken(ctx context.Context, t store.JoinToken, events ...store.AuditEvent) error
	JoinToken(ctx context.Context, tokenID [16]byte) (store.JoinToken, error)
	JoinTokens(ctx context.Context) ([]store.JoinToken, error)
	RevokeJoinToken(ctx context.Context, tokenID [16]byte, when time.Time, by string, events ...store.AuditEvent) error
	Redeem(ctx context.Context, tokenID [16]byte, fp, noise [32]byte, addr string, decide func(store.Joining) (store.Joined, error)) (store.Device, error)
	Device(ctx context.Context, name id.Device) (store.Device, error)
	ChangeDevice(ctx context.Context, fp [32]byte, change func(*store.Device) error,
		events ...store.AuditEvent) (store.Device, error)
}

// Signer is the part of the signer that knows devices.
type Signer interface {
	Bundle(ctx context.Context) (wire.Signed, error)
	PutDevice(ctx context.Context, by signer.Evidence, d signer.Device) (signer.Appended, error)
	Restrict(ctx context.Context, device wire.Hash, state, why string) (signer.Appended, error)
}

// Auditor writes events into the evidence. *audit.Log is one.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
	Index(ctx context.Context, leaf uint64, typ, actor, subject string) error
	Row(ctx context.Context, leaf uint64, typ, actor, subject string) (store.AuditEvent, error)
	Together(ctx context.Context, e audit.Event, write func(event ...store.AuditEvent) error) error
	Regardless(ctx context.Context, e audit.Event, write func(event ...store.AuditEvent) error) (logged, written error)
}

// Actor is who does something: as people read it, and as evidence names them, issuer and subject. Two people may have one
// name, and some providers let them choose it.
type Actor struct{ Name, ID string }

// Lines is what the office tells the control lines. Package rendezvous implements it.
type Lines interface {
	// Cut closes everything of a device for good: it is revoked.
	Cut(device wire.Hash, why string)
	// Drop closes its lines so that it comes back and is looked at afresh.
	Drop(device wire.Hash, why string)
	// Refresh sends the device a status of now.
	Refresh(device wire.Hash)
}

// Office does all of it. Lines may be nil before there are any.
type Office struct {
	Store  Store
	Signer Signer
	Audit  Auditor
	Lines  Lines
	URL    string    // what a join code names: the gateway's address as devices reach it
	Noise  wire.Hash // the gateway's Noise static key
	Log    *slog.Logger
	Now    func() time.Time

	changing sync.Mutex // held from reading a device's row until signer and row have the change, so that both have the same
}

func (o *Office) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

func (o *Office) log() *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	return slog.New(slog.DiscardHandler)
}

// Fingerprint is a device key's fingerprint as people compare it: the form of `ssh-keygen -l`.
func Fingerprint(fp [32]byte) string {
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(fp[:])
}

// sameFingerprint compares what somebody typed, in either form that is shown.
func sameFingerprint(typed string, fp [32]byte) bool {
	typed = strings.TrimSpace(typed)
	return typed == Fingerprint(fp) || typed == wire.Hash(fp).String()
}

// hostKeyFits limits the kinds of key a device may have.
func hostKeyFits(k ssh.PublicKey) bool {
	return k.Type() == ssh.KeyAlgoED25519 || k.Type() == ssh.KeyAlgoECDSA256
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func usage(text string) error { return errkind.New(errkind.Usage, text) }
