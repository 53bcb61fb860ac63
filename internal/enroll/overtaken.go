package enroll

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// logged is the leaf that the signer wrote for a change of a device.
type logged struct {
	leaf    uint64
	typ     string
	subject id.Device
}

// change writes a row, and the event of its leaf in the same transaction, after the signer has taken the change. The
// lock keeps out other changes by this service, but not changes that revoke rights. A revocation or a dispute since the
// row was read stays, and is passed on to the signer.
func (o *Office) change(ctx context.Context, actor Actor, read store.Device, l logged,
	set func(row *store.Device)) (store.Device, error) {
	var events []store.AuditEvent
	event, lost := o.Audit.Row(ctx, l.leaf, l.typ, actor.ID, string(l.subject))
	if lost == nil {
		events = append(events, event)
	}
	var found store.Device
	out, err := o.Store.ChangeDevice(ctx, read.FP, func(row *store.Device) error {
		if found = *row; overtaken(read, found) {
			return errkind.New(errkind.Conflict, fmt.Sprintf("%s became %s meanwhile, so this was not done", found.Name, found.State)).
				WithHint("Look at the device again before you decide.")
		}
		set(row)
		return nil
	}, events...)
	if err != nil && overtaken(read, found) {
		return found, errors.Join(o.takeBack(ctx, actor, found), err)
	}
	return out, errors.Join(err, lost) // the change is valid without the searchable copy of its leaf
}

// overtaken reports whether somebody else changed what a device may, also by more lines in the same dispute.
func overtaken(read, found store.Device) bool {
	return found.State != read.State || !found.StateAt.Equal(read.StateAt) || disputing(found) != disputing(read)
}

func disputing(d store.Device) int {
	if d.Dispute == nil {
		return 0
	}
	return len(d.Dispute.Lines)
}

// takeBack restricts at the signer a device that it was just told is good.
func (o *Office) takeBack(ctx context.Context, actor Actor, found store.Device) error {
	state := wire.StateLocked
	switch found.State {
	case store.Revoked:
		state = wire.StateRevoked
	case store.OK, "": // admitted by somebody else, or the row could not be read
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	leaf, err := o.Signer.Restrict(ctx, found.FP, state, fmt.Sprintf("%s while it was changed (by %s, %s)", found.State, actor.Name, actor.ID))
	if err != nil {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s is %s here, but the signer did not take that", found.Name, found.State)).
			WithHint("Revoke it, or admit it again, once the signer answers.").Because(err)
	}
	return o.Audit.Index(ctx, leaf.Index, state, actor.ID, string(found.Name))
}
