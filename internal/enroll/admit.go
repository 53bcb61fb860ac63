package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Admission is what an administrator says about a waiting device. Empty fields keep what the join code said.
type Admission struct {
	Name        string
	Site        string
	Labels      map[string]string // over those of the code; an empty value removes one
	Fingerprint string            // refused if the device's is another
}

// Admit lets a waiting device in, or clears a dispute or a lock. The evidence must give the duty to administer: the signer
// checks it.
func (o *Office) Admit(ctx context.Context, by signer.Evidence, actor Actor, name id.Device, a Admission) (store.Device, error) {
	o.changing.Lock()
	defer o.changing.Unlock()
	d, err := o.Store.Device(ctx, name)
	if err != nil {
		return d, err
	}
	switch d.State {
	case store.OK:
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("%s was admitted by %s on %s", name, d.AdmittedBy, when(d.AdmittedAt))).
			WithHint("There is nothing to do; `sallyport devices label` changes its labels.")
	case store.Revoked:
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("%s was revoked on %s; a revoked key stays so", name, when(d.StateAt))).
			WithHint("Remove the state directory on the device, so that it makes new keys, and enrol it again.")
	}
	next, err := o.asAdmitted(ctx, d, a)
	if err != nil {
		return d, err
	}
	ctx = context.WithoutCancel(ctx) // begun, it is done: or the signer would know it alone
	// A state other than the device's own makes the signer write this down as an admission.
	leaf, err := o.put(ctx, by, next, wire.StateWaiting)
	if err != nil {
		return d, err
	}
	out, err := o.change(ctx, actor, d, logged{leaf.Index, "admitted", next.Name}, func(row *store.Device) {
		now := o.now().UTC()
		row.Name, row.Site, row.Labels, row.Dispute = next.Name, next.Site, next.Labels, nil
		row.State, row.StateAt, row.StateBy, row.StateWhy = store.OK, now, actor.Name, "admitted"
		row.AdmittedBy, row.AdmittedAt = actor.Name, now
	})
	if out.State != store.OK {
		return d, err
	}
	if o.Lines != nil {
		if d.State == store.Disputed {
			o.Lines.Drop(d.FP, "admitted again") // of its lines the right one comes back, and two make a new dispute
		} else {
			o.Lines.Refresh(d.FP)
		}
	}
	return out, err
}

// asAdmitted applies an admission to what is known of the device.
func (o *Office) asAdmitted(ctx context.Context, d store.Device, a Admission) (store.Device, error) {
	if a.Fingerprint != "" && !sameFingerprint(a.Fingerprint, d.FP) {
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("the key of %s has the fingerprint %s, not the one you gave", d.Name, Fingerprint(d.FP))).
			WithHint("Compare it with what `sallyport-agent status` shows on the machine. If they differ, this is another device.")
	}
	if a.Site != "" {
		d.Site = a.Site
	}
	d.Labels = merged(d.Labels, a.Labels)
	if err := checkPlace(d.Site, d.Labels); err != nil {
		return d, err
	}
	if a.Name == "" || a.Name == string(d.Name) {
		return d, nil
	}
	name, err := id.ParseDevice(a.Name)
	if err != nil {
		return d, usage(err.Error())
	}
	other, err := o.Store.Device(ctx, name)
	switch {
	case err == nil && other.State != store.Revoked && other.FP != d.FP:
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("another device has the name %s", name)).WithHint("Admit this one under another: `sallyport devices admit --name`.")
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return d, err
	}
	d.Name = name
	return d, nil
}

func (o *Office) put(ctx context.Context, by signer.Evidence, d store.Device, state string) (signer.Appended, error) {
	host, err := ssh.ParsePublicKey(d.HostKey)
	if err != nil {
		return signer.Appended{}, fmt.Errorf("host key of %s: %w", d.Name, err)
	}
	return o.Signer.PutDevice(ctx, by, signer.Device{Name: d.Name, Site: d.Site, FP: d.FP, HostKey: wire.PublicKey{PublicKey: host}, Labels: d.Labels, State: state})
}

// Label sets labels of an admitted device: those named; an empty value removes one.
func (o *Office) Label(ctx context.Context, by signer.Evidence, actor Actor, name id.Device, labels map[string]string) (store.Device, error) {
	o.changing.Lock()
	defer o.changing.Unlock()
	d, err := o.Store.Device(ctx, name)
	if err != nil {
		return d, err
	}
	if d.State != store.OK { // for the signer, a device that is put is admitted
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("%s is %s; labels can be set on an admitted device", name, d.State)).
			WithHint("Give the labels when you admit it.")
	}
	d.Labels = merged(d.Labels, labels)
	if err := checkPlace(d.Site, d.Labels); err != nil {
		return d, err
	}
	return o.relabel(ctx, by, actor, d)
}

// Place gives a device the site and labels of another administrator's proposal. The signer recognizes the change.
func (o *Office) Place(ctx context.Context, by signer.Evidence, actor Actor, to signer.Device) (store.Device, error) {
	o.changing.Lock()
	defer o.changing.Unlock()
	d, err := o.Store.Device(ctx, to.Name)
	if err != nil {
		return d, err
	}
	switch {
	case d.FP != [32]byte(to.FP):
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("%s was replaced since the change was proposed", to.Name)).
			WithHint("Withdraw the proposal.")
	case d.State != store.OK:
		return d, errkind.New(errkind.Conflict, fmt.Sprintf("%s is %s; labels can be set on an admitted device", to.Name, d.State)).
			WithHint("Admit it with its present labels first.")
	}
	d.Site, d.Labels = to.Site, to.Labels
	return o.relabel(ctx, by, actor, d)
}

// relabel changes site and labels of an admitted device, at the signer first.
func (o *Office) relabel(ctx context.Context, by signer.Evidence, actor Actor, d store.Device) (store.Device, error) {
	ctx = context.WithoutCancel(ctx)
	leaf, err := o.put(ctx, by, d, wire.StateOK)
	if err != nil {
		return d, err
	}
	out, err := o.change(ctx, actor, d, logged{leaf.Index, "label", d.Name},
		func(row *store.Device) { row.Site, row.Labels = d.Site, d.Labels })
	if err != nil {
		return d, err
	}
	return out, nil
}

func merged(old, set map[string]string) map[string]string {
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range set {
		if v == "" {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// Revoke ends a device for good: its keys are worth nothing and everything of it is cut at once. It may be repeated.
func (o *Office) Revoke(ctx context.Context, actor Actor, name id.Device, why string) (store.Device, error) {
	if !wire.PlainText(why, wire.MaxGrantText) {
		return store.Device{}, usage(fmt.Sprintf("the reason is longer than %d bytes or has control characters", wire.MaxGrantText))
	}
	d, err := o.Store.Device(ctx, name)
	if err != nil {
		return d, err
	}
	ctx = context.WithoutCancel(ctx) // whoever asked may leave; this goes on
	out, err := o.revokeRow(ctx, actor, d, why)
	if o.Lines != nil {
		o.Lines.Cut(d.FP, "revoked by "+actor.Name)
	}
	if err != nil {
		o.log().Error("a revocation is not in the database", slog.String("device", string(name)), slog.Any("error", err))
	}
	return out, errors.Join(o.restrict(ctx, d, actor, why), err)
}

// revokeTime is for the database, and again for the signer.
const revokeTime = 10 * time.Second

func (o *Office) revokeRow(ctx context.Context, actor Actor, d store.Device, why string) (store.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	return o.Store.ChangeDevice(ctx, d.FP, func(row *store.Device) error {
		if row.State != store.Revoked {
			row.State, row.StateAt, row.StateBy, row.StateWhy = store.Revoked, o.now().UTC(), actor.Name, why
		}
		return nil
	})
}

// restrict tells the signer, at once: what it knows as revoked it never admits again. A device that it does not know may be on
// its way there in an admission; once that is over it is known, or was never admitted, and then the leaf is written from here.
func (o *Office) restrict(ctx context.Context, d store.Device, actor Actor, why string) error {
	leaf, err := o.revokeAtSigner(ctx, d, actor, why)
	if errkind.KindOf(err) == errkind.NotFound {
		o.changing.Lock()
		defer o.changing.Unlock()
		leaf, err = o.revokeAtSigner(ctx, d, actor, why)
	}
	if errkind.KindOf(err) == errkind.NotFound {
		return o.Audit.Record(ctx, audit.Event{Type: "revoked", Actor: actor.ID, Subject: string(d.Name), Fields: map[string]string{"fp": wire.Hash(d.FP).String(), "why": why}})
	}
	if err != nil {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s is cut off here, but the signer did not take the revocation", d.Name)).
			WithHint("Revoke it again once the signer answers.").Because(err)
	}
	return o.Audit.Index(ctx, leaf.Index, "revoked", actor.ID, string(d.Name))
}

func (o *Office) revokeAtSigner(ctx context.Context, d store.Device, actor Actor, why string) (signer.Appended, error) {
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	return o.Signer.Restrict(ctx, d.FP, wire.StateRevoked, why+" (by "+actor.Name+", "+actor.ID+")")
}
