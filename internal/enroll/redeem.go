package enroll

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Joiner is a device that redeems a join code, as the handshake proved it.
type Joiner struct {
	Noise      wire.Hash // static key that the handshake proved
	Device     wire.Hash // fp that it claims
	Generation uint32
	Agent      string
	Addr       string
	Part       wire.EnrolPart
}

// Joined is what a device needs to go on.
type Joined struct {
	Device store.Device
	Bundle wire.Signed // exactly the one that the code names
	Again  bool        // it had redeemed this code before; the answer was lost
}

var errUnknownCode = errkind.New(errkind.Denied, "this join code is not known to this gateway").
	WithHint("Make a new one with `sallyport enroll-token create` on this gateway.")

// Redeem makes the device of a join code known. An error's text is for the person at the device.
func (o *Office) Redeem(ctx context.Context, j Joiner) (Joined, error) {
	if err := j.check(); err != nil {
		return Joined{}, err
	}
	tokenID, secret := [16]byte(j.Part.ID), wire.Sum(j.Part.Secret)
	// Looked up before the transaction, so that a stranger who guesses never holds the database's one writer.
	token, err := o.Store.JoinToken(ctx, tokenID)
	if errors.Is(err, store.ErrNotFound) || err == nil && subtle.ConstantTimeCompare(token.SecretHash[:], secret[:]) != 1 {
		return Joined{}, errUnknownCode
	}
	if err != nil {
		return Joined{}, err
	}
	bundle, err := o.Store.BundleByHash(ctx, token.BundleHash)
	if err != nil {
		return Joined{}, fmt.Errorf("bundle of join code: %w", err)
	}
	out := Joined{Bundle: wire.Signed{Body: bundle.Body, Sig: bundle.Sig}}
	out.Device, err = o.Store.Redeem(ctx, tokenID, j.Device, j.Noise, j.Addr, func(in store.Joining) (store.Joined, error) {
		made, err := decide(in, j, o.now().UTC())
		out.Again = made.Again
		return made, err
	})
	if err == nil && out.Again {
		return out, nil
	}
	return out, errors.Join(err, o.audit(ctx, tokenID, j, out.Device, err))
}

// audit writes down who came by which code, or was refused with a right secret. A refusal for a wrong secret leaves no
// leaf: it needs no authority to cause, and the log would grow at a stranger's will.
func (o *Office) audit(ctx context.Context, token [16]byte, j Joiner, d store.Device, refused error) error {
	e := audit.Event{Type: "join", Subject: string(d.Name), Addr: j.Addr, Fields: map[string]string{
		"what": "device enrolled", "code": TokenID(token), "fp": Fingerprint(j.Device), "site": d.Site}}
	if refused != nil {
		text, _, _ := errkind.ForPeople(refused)
		e.Phase, e.Fields["why"] = audit.Failed, text
	}
	return o.Audit.Record(ctx, e)
}

// check proves that host key and Noise key belong together and to whoever knows the code.
func (j *Joiner) check() error {
	p := j.Part
	switch {
	case len(p.ID) != 16 || len(p.Secret) != 32:
		return errkind.New(errkind.Denied, wire.ErrJoinCode.Error())
	case p.HostKey.PublicKey == nil || !hostKeyFits(p.HostKey):
		return errkind.New(errkind.Denied, "the device's host key must be ssh-ed25519 or ecdsa-sha2-nistp256")
	case wire.Fingerprint(p.HostKey) != j.Device || wire.Verify(p.HostKey, wire.PurposeEnrol, wire.EnrolProof(j.Noise[:], p.ID, p.Secret), p.Proof) != nil:
		return errkind.New(errkind.Denied, "the device did not prove its host key").WithHint("Its state directory is damaged: remove it and enrol again.")
	case !wire.PlainText(p.Serial, maxText) || !wire.PlainText(p.OS, maxText) || !wire.PlainText(p.Name, 255):
		return errkind.New(errkind.Denied, "the device's name, serial or system is too long or has control characters")
	}
	return nil
}

// decide runs inside the transaction and must not call the store, except by what it was given.
func decide(in store.Joining, j Joiner, now time.Time) (store.Joined, error) {
	if in.Known != nil {
		return knownDevice(in, j)
	}
	if err := fits(in.Token, j, now); err != nil {
		return store.Joined{}, err
	}
	name, err := freeName(in, j.Part.Name)
	if err != nil {
		return store.Joined{}, err
	}
	return store.Joined{Device: store.Device{FP: j.Device, Name: name, Site: in.Token.Site, Labels: in.Token.Labels,
		State: store.Waiting, StateAt: now, StateWhy: "enrolled by a join code", HostKey: j.Part.HostKey.Marshal(), NoiseKey: j.Noise, Generation: j.Generation,
		Serial: j.Part.Serial, HostName: j.Part.Name, OS: j.Part.OS, Agent: j.Agent, LastAddr: j.Addr, JoinToken: in.Token.ID, EnrolledAt: now}}, nil
}

// knownDevice answers a key that is here already. The same keys with the code they came by are a device whose first
// answer was lost: it gets the answer again, whatever became of the code since.
func knownDevice(in store.Joining, j Joiner) (store.Joined, error) {
	d := in.Known
	same := d.FP == [32]byte(j.Device) && d.NoiseKey == [32]byte(j.Noise)
	switch {
	case d.State == store.Revoked:
		return store.Joined{}, errkind.New(errkind.Denied, fmt.Sprintf("this device's key was revoked as %s on %s", d.Name, when(d.StateAt))).
			WithHint("Remove its state directory, so that it makes new keys, and enrol it again.")
	case same && d.JoinToken == in.Token.ID:
		return store.Joined{Device: *d, Again: true}, nil
	case same:
		return store.Joined{}, errkind.New(errkind.Denied, fmt.Sprintf("this device is enrolled already, as %s since %s", d.Name, when(d.EnrolledAt))).
			WithHint("Nothing is left to do: start the agent.")
	}
	return store.Joined{}, errkind.New(errkind.Denied, fmt.Sprintf("one of this device's keys belongs to %s already", d.Name)).
		WithHint("A copied state directory? Remove it, so that the device makes its own keys, and enrol again.")
}

// fits says why a code with a right secret is not good for this device now.
func fits(t store.JoinToken, j Joiner, now time.Time) error {
	again := "Make a new one with `sallyport enroll-token create`."
	switch {
	case !t.Revoked.IsZero():
		return errkind.New(errkind.Denied, fmt.Sprintf("this join code was revoked by %s on %s", t.RevokedBy, when(t.Revoked))).WithHint(again)
	case !now.Before(t.Expires):
		return errkind.New(errkind.Denied, fmt.Sprintf("this join code expired on %s", when(t.Expires))).WithHint(again)
	case t.Serial != "" && t.Serial != j.Part.Serial:
		return errkind.New(errkind.Denied, fmt.Sprintf("this join code is for the machine with serial %s, this one says %q", t.Serial, j.Part.Serial)).
			WithHint("Use it on the right machine, or make a code for this one.")
	case t.UsesLeft < 1:
		text := "this join code has been used already"
		if len(t.Used) > 0 {
			u := t.Used[0]
			text += fmt.Sprintf(": by %s, key %s, on %s from %s", u.Name, Fingerprint(u.FP), when(u.At), u.Addr)
		}
		return errkind.New(errkind.Denied, text).WithHint("If that was not you, revoke that device. " + again)
	}
	return nil
}

// freeName chooses what the device is called: as the code says, else by its host name, with a number when that is taken.
func freeName(in store.Joining, host string) (id.Device, error) {
	base := in.Token.Name
	if base == "" {
		base = nameFrom(host)
	}
	for n := 1; n <= MaxUses+1; n++ {
		name := base
		if n > 1 {
			tail := fmt.Sprintf("-%d", n)
			name = strings.TrimRight(base[:min(len(base), 63-len(tail))], "-") + tail
		}
		taken, err := in.Taken(id.Device(name))
		if err != nil {
			return "", err
		}
		if !taken {
			return id.ParseDevice(name)
		}
	}
	return "", errkind.New(errkind.Conflict, fmt.Sprintf("every name like %s is taken", base)).WithHint("Give the join code a name of its own.")
}

// nameFrom makes a device's name of the first label of a host name.
func nameFrom(host string) string {
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, host)
	out = strings.Trim(out[:min(len(out), 63)], "-")
	if out == "" {
		return "device"
	}
	return out
}
